"""Networks whose training and inference the benchmarks measure, quantised, with random weights."""

from qosnets_search.models.catalogue import MODELS
from qosnets_search.quantised.code_range import FULL_CODE_RANGE
from qosnets_search.quantised.network import QuantisedNetwork
from qosnets_search.quantised.trace import trace
from torch import Tensor

__all__ = ["attach", "multiplications", "quantised"]


def quantised(name: str) -> QuantisedNetwork:
    """Return a network of the catalogue, not yet quantising."""
    model = MODELS[name]
    module = model.factory(n_classes=model.n_classes, in_channels=model.input_shape[0])
    return QuantisedNetwork(trace(module, model.input_shape), FULL_CODE_RANGE)


def attach(network: QuantisedNetwork, table: Tensor | None) -> None:
    """Quantise all layers and let them multiply through ``table``; None: exactly."""
    network.switch_quantisation(observing=True, quantising=True)
    for block in network.named_blocks.values():
        block.layer.table = table


def multiplications(network: QuantisedNetwork) -> int:
    """Return the multiplications of one image."""
    return sum(block.layer.multiplications for block in network.named_blocks.values())
