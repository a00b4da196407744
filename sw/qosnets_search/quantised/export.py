"""Integer export: a quantised network becomes codes and requantisation constants.

With A = ΣM − z_x·Σw − z_w·Σx + K·z_x·z_w the corrected accumulator, a block computes the real
value gain·s_x·s_w·A + shift (gain and shift hold BatchNorm or the bias), whose code is::

    z_y + (gain·s_x·s_w·A + shift)/s_y = z_y + m·(A + b),   m = gain·s_x·s_w/s_y,
                                                            b = shift/(gain·s_x·s_w)

``bias`` is round(b) − z_x·Σw + K·z_x·z_w, ``mult·2^−shift`` is m to 15 bits, ``offset`` is z_y.
Activations need no operation: the clamp does them.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from qosnets.errors import CheckError
from qosnets.lut import Lut
from qosnets.parameters import LayerWeights, Requantisation

from .integer import IntegerLayer, IntegerNetwork
from .integer_graph import clamp_of, integer_graph
from .layers import Block
from .network import QuantisedNetwork

__all__ = ["check_accumulators", "integer_network", "requantisation"]

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
INT32 = np.iinfo(np.int32)
INT16 = np.iinfo(np.int16)
MULT_BITS = 15
MAX_SHIFT = 47


def integer_network(network: QuantisedNetwork) -> IntegerNetwork:
    """Return the integer network of a quantised network as it is now.

    Raises
    ------
    CheckError
        If a constant does not fit its format.
    """
    layers = {name: _integer_layer(name, block) for name, block in network.named_blocks.items()}
    return IntegerNetwork(integer_graph(network), layers)


def _integer_layer(name: str, block: Block) -> IntegerLayer:
    layer, output = block.layer, block.output_quantiser.affine
    activation, weight = layer.input_quantiser.affine, layer.weight_affine
    z_x, z_w, z_y = (int(part.zero_point) for part in (activation, weight, output))
    clamp = clamp_of(block.activation, output)
    geometry = replace(layer.geometry, output_zero_point=z_y, clamp=clamp)
    codes = layer.weight_codes.cpu().numpy()
    gain, shift = (part.cpu().numpy() for part in block.channel_affine())
    product_scale = float(activation.scale) * float(weight.scale)
    folded = -z_x * codes.sum(axis=1, dtype=np.int64) + geometry.reduction * z_x * z_w
    try:
        values = requantisation(gain * product_scale, shift, folded, float(output.scale), z_y)
    except CheckError as error:
        raise CheckError(f"layer {name}: {error}") from None
    weights = LayerWeights(codes, np.full(len(codes), z_w, np.uint8))
    return IntegerLayer(geometry, weights, values)


def requantisation(
    gain: Float, shift: Float, folded: Int, output_scale: float, output_zero_point: int
) -> Requantisation:
    """Return the constants that turn accumulators into output codes.

    Parameters
    ----------
    gain, shift
        Real output = gain·A + shift, per channel.
    folded
        The terms of A that do not depend on activations, per channel.
    output_scale, output_zero_point
        Quantisation of the output.

    Raises
    ------
    CheckError
        If a channel amplifies so much that its ``shift`` would be below 1.
    """
    ratio = gain / output_scale
    fraction, exponent = np.frexp(ratio)
    mult = np.rint(np.ldexp(fraction, MULT_BITS)).astype(np.int64)
    carry = np.abs(mult) == 1 << MULT_BITS  # rounded up to the next power of two
    mult = np.where(carry, mult // 2, mult)
    right_shift = MULT_BITS - exponent.astype(np.int64) - carry
    if (low := right_shift < 1).any():
        channel = int(np.flatnonzero(low)[0])
        raise CheckError(
            f"channel {channel}: codes per accumulator step must be below 2^14,"
            f" not {ratio[channel]:.6g}"
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        bias = np.rint(shift / gain) + folded
    # A channel with almost no gain is constant; its bias would be out of range.
    constant = (right_shift > MAX_SHIFT) | ~(np.abs(bias) <= INT32.max)
    offset = output_zero_point + np.where(constant, np.rint(shift / output_scale), 0)
    return Requantisation(
        bias=np.where(constant, 0, bias).astype(np.int32),
        mult=np.where(constant, 0, mult).astype(np.int16),
        shift=np.where(constant, 1, right_shift).astype(np.uint8),
        # Codes are at most 255, so saturation at int16 changes no output.
        offset=np.clip(offset, INT16.min, INT16.max).astype(np.int16),
    )


def check_accumulators(
    layers: Mapping[str, IntegerLayer], tables: Mapping[str, Lut], *, max_activation: int
) -> None:
    """Prove that no input makes an accumulator leave int32.

    For each product, the extremes over all activation codes of M[x, w] − z_w·x are added up.

    Parameters
    ----------
    layers, tables
        By layer; ``tables`` are ``M[x, w]``.
    max_activation
        Largest activation code.

    Raises
    ------
    CheckError
        If the bound does not fit.
    """
    activations = np.arange(max_activation + 1, dtype=np.int64)[:, None]
    for name, layer in layers.items():
        table = tables[name][: max_activation + 1].astype(np.int64)
        codes, bias = layer.weights.codes, layer.requantisation.bias.astype(np.int64)
        lows, highs = np.empty(len(codes), np.int64), np.empty(len(codes), np.int64)
        for z_w in np.unique(layer.weights.zero_points):
            terms = table - int(z_w) * activations
            mine = layer.weights.zero_points == z_w
            lows[mine] = bias[mine] + terms.min(axis=0)[codes[mine]].sum(axis=1)
            highs[mine] = bias[mine] + terms.max(axis=0)[codes[mine]].sum(axis=1)
        outside = np.flatnonzero((lows < INT32.min) | (highs > INT32.max))
        if outside.size:
            channel = int(outside[0])
            raise CheckError(
                f"layer {name}: channel {channel}: accumulator must fit int32,"
                f" not {lows[channel]}..{highs[channel]}"
            )
