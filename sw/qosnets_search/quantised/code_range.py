"""The codes that a search may use: those that every offered multiplier reads in full."""

from collections.abc import Iterable
from dataclasses import dataclass

from qosnets.lut import ActivationPort

__all__ = ["FULL_CODE_RANGE", "CodeRange"]


@dataclass(frozen=True)
class CodeRange:
    """Bits of activation and weight codes, 1..8 each; codes start at 0.

    A circuit that reads fewer bits of an operand ignores those above, so that a wider code would
    be taken for another one.
    """

    activation_width: int
    weight_width: int

    @classmethod
    def narrowest(cls, operand_widths: Iterable[tuple[int, int]]) -> "CodeRange":
        """Return what circuits that read so many bits of ports A and B allow together.

        All layers share one network, whatever multiplier they end up with. Hence the narrowest
        port A limits all activations and the narrowest port B all weights.
        """
        a_widths, b_widths = zip(*operand_widths, strict=True)
        return cls(min(a_widths), min(b_widths))

    @property
    def max_activation(self) -> int:
        """Largest code of an activation."""
        return (1 << self.activation_width) - 1

    @property
    def max_weight(self) -> int:
        """Largest code of a weight."""
        return (1 << self.weight_width) - 1

    def activation_ports(self, operand_width: tuple[int, int]) -> tuple[ActivationPort, ...]:
        """Return the ports on which a circuit may take activations, A first.

        Those with which it reads both operands in full. Port A is always one of them for the
        circuits that the range was made for.
        """
        a_width, b_width = operand_width
        read = {ActivationPort.A: (a_width, b_width), ActivationPort.B: (b_width, a_width)}
        return tuple(
            port
            for port, (activation_width, weight_width) in read.items()
            if self.activation_width <= activation_width and self.weight_width <= weight_width
        )


FULL_CODE_RANGE = CodeRange(8, 8)
"""That of multipliers which read all bits."""
