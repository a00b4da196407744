"""The search for kill levels, compiled by numba: simulated annealing of nested masks.

The state is one level per atom, a set of partial products that are killed together. A move gives
an atom another level or exchanges the levels of two; one that breaks a bound is refused. Bounds
are quadratic forms, of which row sums are kept, so that a move costs no more than it has atoms.
Every level that occurs in a row costs, since it needs a gate for the bit of A.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..compiled import compiler

__all__ = ["anneal"]

_compiled = compiler(Path(__file__).parent)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
State = npt.NDArray[np.uint64]


@_compiled
def _draw(state: State) -> Any:
    """Return the next number of SplitMix64 (G. Steele et al., OOPSLA 2014)."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@_compiled
def _below(state: State, limit: int) -> Any:
    """Return an integer in 0..limit − 1."""
    return np.int64((_draw(state) >> np.uint64(33)) % np.uint64(limit))


@_compiled
def _fraction(state: State) -> Any:
    """Return a number in 0..1, 1 excluded."""
    return np.float64(_draw(state) >> np.uint64(11)) / 2.0**53


@_compiled
def _flip(atom: int, mode: int, on: bool, forms: Floats, modes: Ints, sums: Floats) -> None:
    for d in range(len(modes)):
        if modes[d] == mode:
            for p in range(forms.shape[1]):
                sums[d, p] += forms[d, atom, p] if on else -forms[d, atom, p]


@_compiled
def _set_level(
    atom: int, level: int, levels: Ints, forms: Floats, modes: Ints, sums: Floats, errors: Floats
) -> None:
    """Change the level of an atom; ``sums`` and ``errors`` follow."""
    old = levels[atom]
    for mode in range(min(old, level), max(old, level)):
        on = level < old
        for d in range(len(modes)):
            if modes[d] == mode:
                if on:
                    errors[d] += 2 * sums[d, atom] + forms[d, atom, atom]
                else:
                    errors[d] -= 2 * sums[d, atom] - forms[d, atom, atom]
        _flip(atom, mode, on, forms, modes, sums)
    levels[atom] = level


@_compiled
def _move(occurs: Ints, row: int, old: int, new: int) -> None:
    occurs[row, old] -= 1
    occurs[row, new] += 1


@_compiled
def _above(errors: Floats) -> bool:
    """Return whether an error is above its bound, 1, by more than rounding."""
    for d in range(len(errors)):
        if errors[d] > 1 + 1e-9:
            return True
    return False


@_compiled
def anneal(
    forms: Floats,
    modes: Ints,
    gains: Floats,
    rows: Ints,
    level_cost: float,
    n_modes: int,
    n_steps: int,
    seed: int,
) -> Ints:
    """Return levels ``[n_atoms]``, 1..n_modes, within all bounds, of the highest gain less cost.

    Parameters
    ----------
    forms
        Error over bound of each demand as a quadratic form of the killed atoms, ``[d, n, n]``.
    modes
        The mode of each demand, ``[d]``.
    gains
        What is gained where an atom is killed in a mode, ``[n_modes, n]``; row 0 does not count.
    rows, level_cost
        Row of each atom, ``[n]``, and what a level costs in each row where it occurs.
    n_modes
        Number of modes, the exact one included.
    n_steps
        Number of moves that are tried.
    seed
        uint64.
    """
    n_atoms = forms.shape[1]
    state = np.array([seed], dtype=np.uint64)
    levels = np.full(n_atoms, n_modes, dtype=np.int64)
    sums = np.zeros((len(modes), n_atoms))
    errors = np.zeros(len(modes))
    n_rows = rows.max() + 1
    occurs = np.zeros((n_rows, n_modes + 1), dtype=np.int64)
    for p in range(n_atoms):
        occurs[rows[p], n_modes] += 1
    gain = best = -level_cost * n_rows
    best_levels = levels.copy()
    hottest = gains.max()
    for step in range(n_steps):
        temperature = hottest * 0.02 ** (step / n_steps)
        p = _below(state, n_atoms)
        q = _below(state, n_atoms)
        old_p, old_q = levels[p], levels[q]
        if _below(state, 2) == 0:
            new_p, new_q = 1 + _below(state, n_modes), old_q
            q = p
        else:
            new_p, new_q = old_q, old_p
        if new_p == old_p:
            continue
        change = 0.0
        for mode in range(1, n_modes):
            change += gains[mode, p] * (np.int64(new_p <= mode) - np.int64(old_p <= mode))
            if p != q:
                change += gains[mode, q] * (np.int64(new_q <= mode) - np.int64(old_q <= mode))
        n_levels = np.count_nonzero(occurs)
        _move(occurs, rows[p], old_p, new_p)
        if p != q:
            _move(occurs, rows[q], old_q, new_q)
        change -= level_cost * (np.count_nonzero(occurs) - n_levels)
        if change < 0 and _fraction(state) >= np.exp(change / temperature):
            _move(occurs, rows[p], new_p, old_p)
            if p != q:
                _move(occurs, rows[q], new_q, old_q)
            continue
        _set_level(p, new_p, levels, forms, modes, sums, errors)
        if p != q:
            _set_level(q, new_q, levels, forms, modes, sums, errors)
        if _above(errors):
            _set_level(p, old_p, levels, forms, modes, sums, errors)
            if p != q:
                _set_level(q, old_q, levels, forms, modes, sums, errors)
                _move(occurs, rows[q], new_q, old_q)
            _move(occurs, rows[p], new_p, old_p)
            continue
        gain += change
        if gain > best + 1e-9:
            best = gain
            best_levels[:] = levels
    return best_levels
