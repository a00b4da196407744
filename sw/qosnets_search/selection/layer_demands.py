"""What layers demand of the modes of a merged multiplier, by the error model of the search."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from qosnets_library.merged.goal import Demand
from qosnets_library.merged.moments import ErrorMoments
from qosnets_library.operands import Operands

from .error_model import ErrorModel, LayerStatistics, error_covariance

__all__ = ["LayerDemand", "layer_demands", "operands_of_network", "tightest"]


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerDemand(Demand):
    """A demand whose error is that in a layer, of a product as the error model has it."""

    in_layer: ErrorMoments
    """K times its variance is that of an accumulator."""

    @cached_property
    def moments(self) -> ErrorMoments:
        """Moments of the operands, in the layer."""
        return self.in_layer


def layer_demands(
    statistics: Mapping[str, LayerStatistics],
    thresholds: Sequence[float],
    multiplications: Sequence[int],
    scales: Sequence[float],
    model: ErrorModel,
) -> list[LayerDemand]:
    """Return the demands of all layers at all operating points, activations being on port A.

    Layers that tolerate no error demand nothing.

    Parameters
    ----------
    statistics
        Of the layers, by name.
    thresholds
        Standard deviation of the error that each layer tolerates, in accumulator units.
    multiplications
        Of each layer, for one image.
    scales
        Factor on the thresholds, one per operating point.
    model
        Which model of the error.
    """
    demands = []
    for (name, layer), threshold, count in zip(
        statistics.items(), thresholds, multiplications, strict=True
    ):
        if not threshold:
            continue
        operands = Operands(name, *(_shares(codes) for codes in (layer.fields, layer.weights)))
        moments = _moments(layer, operands, model)
        demands += [
            LayerDemand(
                max_error=(threshold * scale) ** 2 / layer.fields.shape[2],
                operands=operands,
                weight=count,
                in_layer=moments,
            )
            for scale in scales
        ]
    return demands


def tightest(demands: Sequence[LayerDemand]) -> list[LayerDemand]:
    """Return one demand per layer, the bound being the lowest and the weight the sum."""
    found: dict[str, LayerDemand] = {}
    for demand in demands:
        name = demand.operands.name
        if name in found:
            max_error = min(demand.max_error, found[name].max_error)
            weight = demand.weight + found[name].weight
            found[name] = replace(demand, max_error=max_error, weight=weight)
        else:
            found[name] = demand
    return list(found.values())


def operands_of_network(
    statistics: Mapping[str, LayerStatistics], multiplications: Sequence[int]
) -> Operands:
    """Return how often each operand occurs in a network, activations being on port A."""
    sides = []
    for side in ("fields", "weights"):
        shares = [np.array(_shares(getattr(layer, side))) for layer in statistics.values()]
        sides.append(tuple((np.array(multiplications) @ shares).tolist()))
    return Operands("network", *sides)


def _moments(layer: LayerStatistics, operands: Operands, model: ErrorModel) -> ErrorMoments:
    independent = ErrorMoments.of(operands)
    bits = (torch.arange(256)[:, None] & 1 << torch.arange(8)).to(torch.float64)
    covariance = error_covariance(layer, bits, bits, model)
    mean = independent.mean
    second = covariance / layer.fields.shape[2] + np.outer(mean, mean)
    return ErrorMoments(mean, second, independent.ones)


def _shares(codes: npt.NDArray[np.uint8]) -> tuple[float, ...]:
    """Return the share of each code."""
    counts = np.bincount(codes.ravel(), minlength=256)
    return tuple((counts / counts.sum()).tolist())
