"""How many parameters operating points add to a network."""

from dataclasses import dataclass

from .quantised.network import QuantisedNetwork

__all__ = ["ParameterCount", "parameter_count"]


@dataclass(frozen=True)
class ParameterCount:
    """Parameters of a network with several operating points that share their weights.

    Counted as in the QoS-Nets paper: γ and β of every BatchNorm, once for each operating point
    but the first. Running statistics are folded away.
    """

    network: int
    """Weights, biases, γ and β of one operating point."""
    batch_norm: int
    """γ and β of the further operating points."""
    biases: int
    """Biases of layers without BatchNorm, of the further operating points; not in the paper."""
    overhead: float
    """``batch_norm / network``."""


def parameter_count(network: QuantisedNetwork, n_points: int) -> ParameterCount:
    """Return the parameters of ``network`` with ``n_points`` operating points.

    A bias before a BatchNorm is absorbed by β and not counted.
    """
    total = batch_norm = biases = 0
    for block in network.named_blocks.values():
        own = sum(parameter.numel() for parameter in block.point_parameters)
        total += block.layer.weight.numel() + own
        if block.norm is None:
            biases += own
        else:
            batch_norm += own
    further = n_points - 1
    return ParameterCount(
        total, further * batch_norm, further * biases, further * batch_norm / total
    )
