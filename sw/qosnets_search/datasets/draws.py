"""Random numbers that are the same on every machine.

Only the raw words of PCG64 are used, whose sequence NumPy guarantees, and arithmetic that IEEE 754
rounds correctly. The distributions of ``numpy.random.Generator`` may change between releases, and
their tails depend on the machine's logarithm.
"""

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Draws", "Float32Array"]

Float32Array: TypeAlias = NDArray[np.float32]


class Draws:
    """A stream of random numbers.

    Parameters
    ----------
    seed
        A number that is not negative.
    stream
        Chooses one of many independent streams of the seed.
    """

    def __init__(self, seed: int, *stream: int) -> None:
        self._words = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=stream))

    def words(self, n: int) -> NDArray[np.uint64]:
        """Return ``n`` words of 64 random bits."""
        return self._words.random_raw(n)

    def uniform(self, low: float, high: float, *shape: int) -> Float32Array:
        """Return numbers in ``low`` .. ``high``, float32, uniform to 24 bits."""
        share = (self.words(math.prod(shape)) >> 40).astype(np.float32) * np.float32(2**-24)
        return (np.float32(low) + np.float32(high - low) * share).reshape(shape)

    def integers(self, n: int, *shape: int) -> NDArray[np.int64]:
        """Return integers 0 .. n − 1 for n below 2^24."""
        return ((self.words(math.prod(shape)) >> 40).astype(np.int64) * n >> 24).reshape(shape)

    def bell(self, *shape: int) -> Float32Array:
        """Return numbers of mean 0 and variance 1, the sum of four uniform ones each.

        None is beyond ±2√3.
        """
        parts = self.words(math.prod(shape)).view(np.uint16).reshape(-1, 4).astype(np.float32)
        total = parts[:, 0] + parts[:, 1] + parts[:, 2] + parts[:, 3]
        return ((total - np.float32(2 * 65535)) * np.float32(math.sqrt(3) / 65536)).reshape(shape)

    def directions(self, *shape: int) -> tuple[Float32Array, Float32Array]:
        """Return cosine and sine of random angles, without trigonometry.

        An angle within ±45° is drawn by the tangent of its half and turned by quarters; densities
        differ by 17 % at most.
        """
        tangent = self.uniform(1 - math.sqrt(2), math.sqrt(2) - 1, *shape)
        cosine = (1 - tangent * tangent) / (1 + tangent * tangent)
        sine = 2 * tangent / (1 + tangent * tangent)
        quarter = self.integers(4, *shape)
        swapped, negated = quarter % 2 == 1, quarter >= 2
        x, y = np.where(swapped, -sine, cosine), np.where(swapped, cosine, sine)
        return np.where(negated, -x, x), np.where(negated, -y, y)
