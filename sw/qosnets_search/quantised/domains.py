"""Which tensors share a scale: those between which codes pass unchanged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qosnets.graph import INPUT

from .steps import ConcatStep, FlattenStep, MaxPoolStep, Step

__all__ = ["Domains", "domains"]


@dataclass(frozen=True)
class Domains:
    """Scales, by number, and the tensors that have them."""

    members: Mapping[str, int]
    """Scale of each tensor."""
    numbers: Mapping[str, int]
    """Number, within its scale, of each tensor that is quantised, not merely passed on."""
    sizes: Sequence[int]
    """Quantised tensors of each scale."""


def domains(steps: Sequence[Step]) -> Domains:
    """Return the scales of all tensors.

    A maximum and a flattening pass codes on; all inputs of a concatenation and its result have
    one scale. Every other step quantises its result.
    """
    root = {INPUT: INPUT}

    def find(name: str) -> str:
        while root[name] != name:
            name = root[name]
        return name

    for step in steps:
        root[step.output] = step.output
        if isinstance(step, MaxPoolStep | FlattenStep | ConcatStep):
            for name in step.inputs:
                root[find(step.output)] = find(name)
    members: dict[str, int] = {}
    index: dict[str, int] = {}
    for name in root:
        members[name] = index.setdefault(find(name), len(index))
    sizes, numbers = [0] * len(index), {}
    passed_on = {
        step.output for step in steps if isinstance(step, MaxPoolStep | FlattenStep | ConcatStep)
    }
    for name in root:
        if name not in passed_on:
            numbers[name] = sizes[members[name]]
            sizes[members[name]] += 1
    return Domains(members, numbers, sizes)
