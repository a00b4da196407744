"""Parameters that operating points add, as the QoS-Nets paper counts them."""

import pytest
from odd_networks import ODD_NETWORKS
from qosnets_search.models.catalogue import MODELS
from qosnets_search.overhead import ParameterCount, parameter_count
from qosnets_search.quantised.code_range import FULL_CODE_RANGE
from qosnets_search.quantised.network import QuantisedNetwork
from qosnets_search.quantised.trace import trace
from torch import nn


def network_of(module: nn.Module, input_shape: tuple[int, int, int]) -> QuantisedNetwork:
    return QuantisedNetwork(trace(module, input_shape), FULL_CODE_RANGE)


def test_mobilenetv2_with_three_points_is_that_of_the_paper() -> None:
    model = MODELS["mobilenetv2"]
    module = model.factory(n_classes=model.n_classes, in_channels=3)
    count = parameter_count(network_of(module, model.input_shape), 3)
    assert (count.network, count.batch_norm) == (2_480_072, 68_224)
    assert count.overhead == pytest.approx(0.027509, abs=1e-6)
    # The classifier has no BatchNorm: its bias is tuned, too, and not in the paper's count.
    assert count.biases == 2 * 200


@pytest.mark.parametrize("n_points", [1, 2, 5])
def test_count_is_that_of_the_channels(n_points: int) -> None:
    odd = ODD_NETWORKS["branches"]
    count = parameter_count(network_of(odd.factory(), odd.input_shape), n_points)
    weights = 4 * 3 * 9 + 4 * 3 + 6 * 15 + 5 * 6
    further = n_points - 1
    batch_norm, biases = 2 * 6, 4 + 4 + 5
    total = weights + batch_norm + biases
    assert count == ParameterCount(
        total, further * batch_norm, further * biases, further * batch_norm / total
    )
