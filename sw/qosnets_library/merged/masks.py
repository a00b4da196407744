"""Which partial products a merged multiplier keeps in which mode, and what it then computes.

    M_m(a, b) = Σ_ij kept_m[i, j]·2^(i+j)·a_i·b_j + c_m

Mode 0 is exact, each later one coarser: a partial product has a *kill level*, the first mode in
which it is forced to 0. The constant c_m consists of killed partial products that are forced to 1
instead, from their *force level* on, so that it needs no adder. Levels make modes nested, hence
the select is a thermometer code.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from qosnets.errors import InputError
from qosnets.library_data import MAX_MODES
from qosnets.lut import Lut

__all__ = ["MAX_MODES", "WEIGHTS", "Levels", "MergedMasks"]

_WIDTH = 8

Levels = npt.NDArray[np.uint8]

WEIGHTS: npt.NDArray[np.int64] = 1 << (np.arange(_WIDTH)[:, None] + np.arange(_WIDTH))
"""2^(i+j) of the partial product of bit i of A and bit j of B, int64 ``[8, 8]``."""


@dataclass(frozen=True, eq=False)
class MergedMasks:
    """Kill and force levels of the partial products, ``uint8[8, 8]``, row = bit of A.

    Raises
    ------
    InputError
        If there are no modes or too many, a level is out of range, a partial product is forced
        before it is killed, or mode 0 is not exact.
    """

    n_modes: int
    """1..8; with 1 the multiplier is exact."""
    kill_level: Levels
    """First mode without the partial product, 1..n_modes; n_modes: kept in every mode."""
    force_level: Levels = field(default_factory=lambda: np.empty((0, 0), np.uint8))
    """First mode in which it is 1, kill level..n_modes; n_modes: never. Left out: none is."""

    def __post_init__(self) -> None:
        n = self.n_modes
        if not 1 <= n <= MAX_MODES:
            raise InputError(f"merged multiplier: modes: must be 1..{MAX_MODES}, not {n}")
        if not self.force_level.size:
            object.__setattr__(self, "force_level", np.full((_WIDTH, _WIDTH), n, np.uint8))
        for name in ("kill_level", "force_level"):
            levels = getattr(self, name)
            if levels.shape != (_WIDTH, _WIDTH) or levels.dtype != np.uint8:
                found = f"{levels.dtype}{list(levels.shape)}"
                raise InputError(f"merged multiplier: {name}: must be uint8[8, 8], not {found}")
            if levels.max() > n:
                where = f"merged multiplier: {name}{_place(levels > n)}"
                raise InputError(f"{where}: must be at most {n}, not {levels.max()}")
            copy = levels.copy()
            copy.setflags(write=False)
            object.__setattr__(self, name, copy)
        if self.kill_level.min() == 0:
            where = f"merged multiplier: kill_level{_place(self.kill_level == 0)}"
            raise InputError(f"{where}: mode 0 must be exact, but it lacks the partial product")
        early = self.force_level < self.kill_level
        if early.any():
            raise InputError(
                f"merged multiplier: force_level{_place(early)}: must not be below the kill level"
                f" {self.kill_level[early][0]}, not {self.force_level[early][0]}"
            )

    @classmethod
    def from_kept(
        cls,
        kept: Sequence[npt.NDArray[np.bool_]],
        forced: Sequence[npt.NDArray[np.bool_]] | None = None,
    ) -> "MergedMasks":
        """Return the levels of masks ``bool[8, 8]``, one per mode.

        Parameters
        ----------
        kept
            Partial products that a mode keeps; each mode keeps a part of what the one before does.
        forced
            Those that a mode forces to 1; each mode forces what the one before does. None: none.

        Raises
        ------
        InputError
            If the masks are not nested, or for a reason of the class.
        """
        n = len(kept)
        forced = [np.zeros((_WIDTH, _WIDTH), np.bool_)] * n if forced is None else forced
        if len(forced) != n:
            raise InputError(f"merged multiplier: forced: must have {n} masks, not {len(forced)}")
        for does, before, masks, sign in (
            ("keeps", "does not", kept, 1),
            ("does not force", "does", forced, -1),
        ):
            for mode in range(1, n):
                change = (masks[mode].astype(np.int8) - masks[mode - 1]) * sign
                if (change > 0).any():
                    raise InputError(
                        f"merged multiplier: masks must be nested, but mode {mode} {does} the"
                        f" partial product {_place(change > 0)} and mode {mode - 1} {before}"
                    )
        kill = np.stack(kept).sum(axis=0).astype(np.uint8)
        force = (n - np.stack(forced).sum(axis=0)).astype(np.uint8)
        return cls(n, kill, force)

    def kept(self, mode: int) -> npt.NDArray[np.bool_]:
        """Return which partial products a mode keeps, ``bool[8, 8]``."""
        return self.kill_level > self._checked(mode)

    def forced(self, mode: int) -> npt.NDArray[np.bool_]:
        """Return which partial products a mode forces to 1, ``bool[8, 8]``."""
        return self.force_level <= self._checked(mode)

    def constant(self, mode: int) -> int:
        """Return c of a mode."""
        return int(WEIGHTS[self.forced(mode)].sum())

    def lut(self, mode: int) -> Lut:
        """Return the table of a mode from the formula."""
        bits = np.arange(256)[:, None] >> np.arange(_WIDTH) & 1
        table = bits @ (WEIGHTS * self.kept(mode)) @ bits.T + self.constant(mode)
        return table.astype(np.uint16)

    @property
    def select_width(self) -> int:
        """Bits of the select word, one per mode."""
        return self.n_modes

    def select_word(self, mode: int) -> int:
        """Return the select word of a mode; that of no mode, with product 0, is 0.

        Bit ``k - 1`` keeps the partial products of kill level ``k``: all ones is the exact mode,
        and the last bit alone the coarsest one.
        """
        return (1 << self.n_modes) - (1 << self._checked(mode))

    def _checked(self, mode: int) -> int:
        if not 0 <= mode < self.n_modes:
            raise InputError(f"merged multiplier: mode: must be 0..{self.n_modes - 1}, not {mode}")
        return mode


def _place(where: Any) -> list[int]:
    """Return the first place that is set."""
    place: list[int] = np.argwhere(where)[0].tolist()
    return place
