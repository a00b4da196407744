"""Path ``masked``: sums of products of masked bytes, as the modes of merged multipliers are.

M(x, w) = Σ_t (x & X_t)·(w & W_t) + c has at most eight terms, and one instruction adds four of them
up for 16 lanes. Its second factors are signed: those with bit 7 are taken less 128, which the sum
of the masked lanes makes up for, once for all rows. Needs AVX-512 VNNI.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from qosnets_library.merged.terms import MaskedProducts

from .compiled import compiled, run_items
from .dot_product import DOT_LANES, DOT_ROWS, add_terms_1, add_terms_4, word_parts
from .frames import find_runs
from .lookup_sum import TILE, Amounts, LookupSum
from .vector import copy

__all__ = ["masked_work", "run_masked"]

_ROW_BLOCK = 32
"""Rows of codes in an item, which share the sums of masked lanes."""

_PRODUCTS_PER_NANOSECOND = 50.0
_WORDS_PER_NANOSECOND = 1.0


@dataclass(frozen=True, eq=False)
class _Words:
    """The terms of four codes as words of four bytes, part by part (:mod:`.dot_product`)."""

    masks: tuple[tuple[int, ...], ...]
    """Masks of lane codes, of each part of each word."""
    lowered: npt.NDArray[np.int32]
    """1 in the byte of each term whose values are less by 128, ``[word]``."""
    places: npt.NDArray[np.int64]
    """Word and code of each part, ``[part, 2]``."""
    values: npt.NDArray[np.int32]
    """What a row code is for the terms of a part, in their places, signed; ``[part, 256]``."""

    @classmethod
    def of(cls, terms: MaskedProducts) -> "_Words":
        """Return the words of terms whose A are lanes."""
        n_terms = max(len(terms.a_masks), 1)
        lane_masks, code_masks, lowered = (np.zeros(n_terms, np.uint8) for _ in range(3))
        lane_masks[: len(terms.a_masks)] = terms.a_masks
        code_masks[: len(terms.b_masks)] = terms.b_masks
        lowered[code_masks > 127] = 1
        values = (np.arange(256, dtype=np.uint8)[:, None] & code_masks) - 128 * lowered
        masks, places, of_parts = [], [], []
        for word, codes in enumerate(word_parts(n_terms)):
            slots = np.arange(4 * word, 4 * word + 4)
            taken = [(slots // n_terms == code).astype(np.uint8) for code in codes]
            of_slots = slots % n_terms
            masks.append(tuple(_as_words(part * lane_masks[of_slots])[0].item() for part in taken))
            places += [(word, code) for code in codes]
            of_parts += [_as_words(part * values[:, of_slots].astype(np.uint8)) for part in taken]
        return cls(
            tuple(masks), _as_words(np.tile(lowered, 4)), np.array(places), np.array(of_parts)
        )

    def weights(self, codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
        """Return words ``[group, row / n, k / 4, word, row % n]``, but for the group as one line.

        ``codes`` are ``[group, row, k]``; rows at once, n, are 1 where a group has but one row.
        """
        n_groups, n_rows, reduction = codes.shape
        n_at_once = 1 if n_rows == 1 else DOT_ROWS
        n_blocks = -(-n_rows // n_at_once)
        length = -(-reduction // 4) * len(self.masks) * n_at_once
        weights = np.zeros((n_groups, n_blocks * length), np.int32)
        run_items(
            _pack,
            n_groups * n_blocks,
            codes.size * len(self.places) / 4 / _WORDS_PER_NANOSECOND,
            codes,
            self.places,
            self.values,
            len(self.masks),
            n_at_once,
            weights,
        )
        return weights

    def lowered_lanes(self, reduction: int) -> npt.NDArray[np.int32]:
        """Return the words of a row that sums the terms whose values are less by 128."""
        by_four = np.tile(self.lowered, (-(-reduction // 4), 1))
        for word, code in self.places:
            if code >= reduction % 4 > 0:  # there is no such k
                taken = np.arange(4 * word, 4 * word + 4) // len(self.masks) == code
                by_four[-1, word] &= _as_words(np.where(taken, 0, 255).astype(np.uint8))[0]
        return by_four.ravel()


def _as_words(octets: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """Return words ``[..]`` of their bytes ``[.., 4]``, or of bytes in one line."""
    return np.ascontiguousarray(octets.reshape(-1, 4)).view("<i4")[:, 0]


def masked_work(amounts: Amounts, n_terms: int) -> tuple[float, ...]:
    """Return amounts of work: those of every path, weights, parts of lanes, products."""
    n_terms = max(n_terms, 1)
    n_parts = sum(map(len, word_parts(n_terms)))
    n_rows = amounts.n_rows // amounts.n_groups
    n_lanes = -(-amounts.n_positions // DOT_LANES) * DOT_LANES
    n_at_once = 1 if n_rows == 1 else DOT_ROWS
    n_sums = amounts.n_groups * -(-amounts.reduction // 4) * n_lanes
    # The sums of masked lanes take one row more for each block.
    n_shares, n_blocks = -(-n_rows // n_at_once), -(-n_rows // _ROW_BLOCK)
    return (
        *amounts.common,
        float(n_parts * amounts.n_rows * -(-amounts.reduction // 4)),
        float(n_parts * (n_shares + n_blocks) * n_sums),
        float(n_terms * (n_shares * n_at_once + n_blocks) * n_sums),
    )


def run_masked(sums: LookupSum, terms: MaskedProducts) -> npt.NDArray[np.int32]:
    """Return the sums, ``[image, group·row, position]`` as one line; A of ``terms`` are lanes."""
    words = _Words.of(terms)
    out = sums.new_output()
    n_groups, n_rows, reduction = sums.codes.shape
    n_tiles = -(-sums.frame.n_positions // TILE)
    run_items(
        _masked,
        n_groups * n_tiles * -(-n_rows // _ROW_BLOCK),
        sums.n_products / _PRODUCTS_PER_NANOSECOND,
        sums.lanes,
        np.pad(sums.starts, ((0, 0), (0, -reduction % 4)), mode="edge"),
        words.weights(sums.codes),
        words.masks,
        words.lowered_lanes(reduction),
        np.int64(terms.constant * reduction),
        sums.frame.as_array(),
        sums.frame.n_positions,
        n_rows,
        out,
    )
    return out


@compiled
def _pack(first, last, codes, places, values, n_words, n_at_once, weights):
    """Set the words of items (group, rows at once) that are not 0."""
    _, n_rows, reduction = codes.shape
    n_blocks = (n_rows + n_at_once - 1) // n_at_once
    length = (reduction + 3) // 4 * n_words * n_at_once
    for item in range(first, last):
        group, block = divmod(item, n_blocks)
        words = weights[group, block * length : (block + 1) * length]
        for i in range(min(n_at_once, n_rows - block * n_at_once)):
            row = codes[group, block * n_at_once + i]
            for part in range(len(places)):
                word, code = places[part]
                of_part = values[part]
                for four in range((reduction - code + 3) // 4):
                    place = (four * n_words + word) * n_at_once + i
                    words[place] |= of_part[row[4 * four + code]]


@compiled
def _masked(
    first, last, lanes, starts, weights, masks, lowered, constant, frame, n_positions, n_rows, out
):
    """Compute items (tile, group, block of rows): many of them share the runs of a tile."""
    n_groups, n_fours = len(starts), starts.shape[1] // 4
    n_at_once = 1 if n_rows == 1 else DOT_ROWS
    n_blocks = (n_rows + _ROW_BLOCK - 1) // _ROW_BLOCK
    size = frame[2] * frame[3]
    runs = np.empty((TILE, 3), np.int64)
    none, base = np.zeros(DOT_LANES, np.int32), np.empty(TILE, np.int32)
    sums = np.empty(DOT_ROWS * TILE, np.int32)
    position, end, n_runs = -1, 0, 0
    for item in range(first, last):
        rest, block = divmod(item, n_blocks)
        tile, group = divmod(rest, n_groups)
        if tile * TILE != position:
            position = tile * TILE
            end = min(position + TILE, n_positions)
            n_runs = find_runs(position, end, frame, n_groups * n_rows * size, runs)
        begin, words = starts[group], weights[group]
        for p in range(0, end - position, DOT_LANES):
            add_terms_1(lanes, position + p, begin, n_fours, masks, lowered, 0, none, base[p:], 0)
        for p in range(TILE):
            base[p] = base[p] * 128 + constant
        for row in range(block * _ROW_BLOCK, min((block + 1) * _ROW_BLOCK, n_rows), n_at_once):
            for p in range(0, end - position, DOT_LANES):
                place, word = position + p, row * len(lowered)
                if n_rows == 1:
                    add_terms_1(
                        lanes, place, begin, n_fours, masks, words, word, base[p:], sums[p:], TILE
                    )
                else:
                    add_terms_4(
                        lanes, place, begin, n_fours, masks, words, word, base[p:], sums[p:], TILE
                    )
            for i in range(min(n_at_once, n_rows - row)):
                channel = (group * n_rows + row + i) * size
                for run in range(n_runs):
                    source, target, length = runs[run]
                    copy(out, channel + target, sums, i * TILE + source, length)
