"""Outputs among the positions of a plane, for compiled kernels."""

from .compiled import compiled

__all__ = ["find_runs"]


@compiled
def find_runs(first, last, frame, image_stride, runs):
    """Find the outputs among positions ``first ≤ p < last``; returns their number of runs.

    Sets ``runs[i]`` to the position after ``first``, the place in an output plane of
    ``image_stride`` values per image, and the length. ``frame`` is that of ``Frame.as_array``.
    """
    pitch_rows, pitch, height, width = frame
    n_runs = 0
    position = first
    while position < last:
        line, x = divmod(position, pitch)
        image, y = divmod(line, pitch_rows)
        length = min(width - x, last - position)
        if y < height and length > 0:
            runs[n_runs, 0] = position - first
            runs[n_runs, 1] = image * image_stride + y * width + x
            runs[n_runs, 2] = length
            n_runs += 1
        position = (line + 1) * pitch
    return n_runs
