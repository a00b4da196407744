"""Choice of n multipliers for all layers and operating points at once, by k-means clustering.

After section 3 of the QoS-Nets paper. One deviation: scales divide the preference vectors. The
paper's Eq. (4) multiplies, but its text (a small scale asks for accuracy) fits division only.
"""

import numpy as np
from sklearn.cluster import KMeans  # type: ignore[import-untyped]

from .matching import cheapest_admissible
from .problem import Float, Int, Selection, SelectionProblem

__all__ = ["cluster", "reweight"]

N_STARTS = 20


def reweight(x: Float) -> Float:
    """Return x where x ≤ 1, else 1 + ln x (Eq. 3), which tames outliers but keeps their order."""
    return np.where(x <= 1, x, 1 + np.log(np.maximum(x, 1)))


def cluster(problem: SelectionProblem) -> Selection:
    """Return the multipliers that k-means finds.

    The preference vectors of all (point, layer) pairs are clustered, without the multipliers that
    no pair admits. A cluster uses the multiplier of least power among those whose centroid entry
    is at most 1 (of equal ones the most accurate), or the most accurate one where no entry is.
    Two clusters may use the same one.

    Layers that tolerate nothing are not clustered: they take :attr:`.SelectionProblem.safest`. If
    no cluster uses that one, too, there is one cluster less, so that n multipliers suffice.
    """
    members: Int = np.full((problem.n_points, problem.n_layers), problem.safest, np.int64)
    layers = np.flatnonzero(problem.tolerant)
    if not layers.size:
        return Selection(members)
    rows = problem.ratios[:, layers].reshape(-1, problem.n_candidates)
    found, notes = _cluster(problem, rows, problem.n_multipliers)
    used = set(found.tolist())
    if len(layers) < problem.n_layers and len(used | {problem.safest}) > problem.n_multipliers:
        if problem.n_multipliers == 1:
            return Selection(members)
        found, notes = _cluster(problem, rows, problem.n_multipliers - 1)
    members[:, layers] = found.reshape(problem.n_points, -1)
    return Selection(members, tuple(notes))


def _cluster(problem: SelectionProblem, rows: Float, n_clusters: int) -> tuple[Int, list[str]]:
    """Return the multiplier of each row of ratios ``[row, multiplier]``, and notes."""
    notes = []
    useful = np.flatnonzero((rows <= 1).any(axis=0))
    if not useful.size:
        useful = np.arange(rows.shape[1])
    points, power = reweight(rows[:, useful]), problem.relative_power[useful]
    n_different = len(np.unique(points, axis=0))
    if n_different < n_clusters:
        notes.append(f"different preference vectors: {n_different}, fewer than {n_clusters}")
        n_clusters = n_different
    clustering = KMeans(n_clusters, n_init=N_STARTS, random_state=problem.seed).fit(points)
    centroids = clustering.cluster_centers_
    n_without = int((centroids > 1).all(axis=1).sum())
    if n_without:
        notes.append(
            f"clusters that admit no multiplier take the most accurate: {n_without} of {n_clusters}"
        )
    members = [useful[cheapest_admissible(centroid, power)] for centroid in centroids]
    return np.array(members, np.int64)[clustering.labels_], notes
