"""The error and cost figures that multipliers are compared by."""

from enum import StrEnum
from typing import TYPE_CHECKING

# The command line shows these choices in its help, which must cost nothing.
if TYPE_CHECKING:
    from qosnets.library import Entry

__all__ = ["CostFigure", "ErrorFigure"]


class ErrorFigure(StrEnum):
    """An error metric, by its name in the library."""

    MSE = "mse"
    MAE = "mae"
    WCE = "wce"
    MRE = "mre"
    ERROR_STD = "error_std"

    def of(self, entry: "Entry") -> float:
        """Return the figure of a multiplier."""
        return float(getattr(entry.metrics, self.value))


class CostFigure(StrEnum):
    """An estimated or published cost."""

    POWER_UW = "power_uw"
    RELATIVE_POWER = "relative_power"
    AREA_UM2 = "area_um2"
    DELAY_NS = "delay_ns"
    PUBLISHED_POWER_MW = "published_power_mw"

    def of(self, entry: "Entry") -> float | None:
        """Return the figure of a multiplier; None where it is not known."""
        if self is CostFigure.PUBLISHED_POWER_MW:
            return None if entry.published is None else entry.published.power_mw
        return None if entry.estimates is None else float(getattr(entry.estimates, self.value))
