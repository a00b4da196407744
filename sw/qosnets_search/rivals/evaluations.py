"""Evaluations of a network under candidate multipliers: counted, and remembered.

A search asks for the accuracy of candidates, which it names by tuples of integers. What was asked
before costs nothing. A search that starts again with the results of an earlier run takes the same
way through them, without evaluating any of them again, and goes on from there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from qosnets.errors import InputError

from ..quantised.mapped import LayerArithmetic

__all__ = ["Accuracies", "BudgetSpentError", "Evaluations", "Evaluator", "Key", "Request"]


@dataclass(frozen=True, eq=False)
class Request:
    """A network to evaluate."""

    arithmetics: tuple[LayerArithmetic, ...]
    """Of each layer."""
    corrects_means: bool = False
    """Whether each channel's constants take off the mean error of its accumulator.

    :func:`.mapped.expected_errors` is that mean by the layer's histogram of activations.
    """


Evaluator: TypeAlias = Callable[[Request], float | Sequence[float]]
"""Returns the accuracy, 0..1, of the integer network on a fixed sample of images.

Where it returns several, each is that of a batch of the sample; batches are of the same size.
"""

Key: TypeAlias = tuple[int, ...]
"""Name of a candidate, unique within a search."""

Accuracies: TypeAlias = tuple[float, ...]
"""Of each batch, 0..1."""


class BudgetSpentError(Exception):
    """No more candidates may be evaluated."""


class Evaluations:
    """The evaluations of one search.

    Parameters
    ----------
    evaluate
        What evaluates.
    budget
        Most different candidates that the search may ask for, at least 1. Those in ``known``
        count when they are asked for.
    known
        Results of an earlier run of the same search.
    record
        Called with each new result, to keep it.
    progress
        Called as ``progress(n_used, budget)`` after each candidate.
    """

    def __init__(
        self,
        evaluate: Evaluator,
        budget: int,
        *,
        known: Mapping[Key, Accuracies] | None = None,
        record: Callable[[Key, Accuracies], None] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        if budget < 1:
            raise InputError(f"evaluations: budget must be at least 1, not {budget}")
        self.budget = budget
        self.allowance = budget
        """Evaluations that may be used so far; may be set, from 0 to ``budget``."""
        self._evaluate = evaluate
        self._known = dict(known or {})
        self._record = record
        self._progress = progress
        self._asked: dict[Key, Accuracies] = {}

    @property
    def n_used(self) -> int:
        """Number of different candidates asked for."""
        return len(self._asked)

    @property
    def asked(self) -> Mapping[Key, Accuracies]:
        """All candidates asked for, in that order."""
        return self._asked

    def accuracies(self, key: Key, request: Callable[[], Request]) -> Accuracies:
        """Return the accuracies of a candidate.

        Parameters
        ----------
        key
            Its name.
        request
            Makes the network, if it has to be evaluated.

        Raises
        ------
        BudgetSpentError
            If the candidate is a new one and the allowance is spent.
        """
        if key not in self._asked:
            if self.n_used >= self.allowance:
                raise BudgetSpentError
            self._asked[key] = self._known[key] if key in self._known else self._new(key, request())
            if self._progress:
                self._progress(self.n_used, self.budget)
        return self._asked[key]

    def _new(self, key: Key, request: Request) -> Accuracies:
        found = tuple(float(accuracy) for accuracy in np.atleast_1d(self._evaluate(request)))
        if self._record:
            self._record(key, found)
        return found
