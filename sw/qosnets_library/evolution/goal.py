"""What an evolution bounds and what it minimises; light, since the command line shows both."""

from enum import StrEnum

__all__ = ["Cost", "Metric"]


class Metric(StrEnum):
    """The error that is bounded."""

    MSE = "mse"
    """Mean squared error."""
    MAE = "mae"
    """Mean absolute error."""
    WCE = "wce"
    """Worst-case absolute error."""

    @property
    def code(self) -> int:
        """Number of the metric in compiled code."""
        return list(Metric).index(self)


class Cost(StrEnum):
    """What is minimised: the estimate of a mapped circuit, approximated during the climb."""

    POWER = "power"
    AREA = "area"
