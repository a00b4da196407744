"""Choice of n multipliers for all layers and operating points at once, by k-means clustering.

After section 3 of the QoS-Nets paper. One deviation: scales divide the preference vectors. The
paper's Eq. (4) multiplies, but its text (a small scale asks for accuracy) fits division only.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans  # type: ignore[import-untyped]

__all__ = ["reweight", "select"]

N_STARTS = 20

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]


def reweight(x: Float) -> Float:
    """Return x where x ≤ 1, else 1 + ln x (Eq. 3), which tames outliers but keeps their order."""
    return np.where(x <= 1, x, 1 + np.log(np.maximum(x, 1)))


def select(
    relative_errors: Float,
    relative_power: Float,
    scales: Sequence[float],
    n_multipliers: int,
    seed: int,
) -> Int:
    """Return the multiplier of each layer at each operating point, ``[point, layer]``.

    The preference vectors of all (scale, layer) pairs are clustered. A cluster uses the
    multiplier of least power among those whose centroid entry is at most 1 (of equal ones the
    most accurate), or the most accurate one where no entry is.

    Parameters
    ----------
    relative_errors
        σ_e/T, ``[layer, multiplier]``.
    relative_power
        ``[multiplier]``.
    scales
        One per operating point; thresholds are multiplied by it.
    n_multipliers
        Number of clusters, hence the largest number of different multipliers.
    seed
        Of the starting points of the clustering.
    """
    rows = np.concatenate([relative_errors / scale for scale in scales])
    useful = np.flatnonzero((rows <= 1).any(axis=0))
    if not useful.size:
        useful = np.arange(rows.shape[1])
    points = reweight(rows[:, useful])
    n_clusters = min(n_multipliers, len(np.unique(points, axis=0)))
    clustering = KMeans(n_clusters, n_init=N_STARTS, random_state=seed).fit(points)
    members = [
        useful[_cheapest(centroid, relative_power[useful])]
        for centroid in clustering.cluster_centers_
    ]
    by_row: Int = np.array(members, np.int64)[clustering.labels_]
    return by_row.reshape(len(scales), -1)


def _cheapest(centroid: Float, power: Float) -> int:
    admissible = np.flatnonzero(centroid <= 1)
    if not admissible.size:
        return int(np.lexsort((power, centroid))[0])
    return int(admissible[np.lexsort((centroid[admissible], power[admissible]))[0]])
