"""The vector instruction that multiplies bytes four at a time, as a function for compiled kernels.

``vpdpbusd`` adds to each of 16 lanes of 32 bits the sum of four products of an unsigned and a
signed byte. A code has T terms, which are T masks of it and T values of a weight. The terms of four
codes, one after the other, fill T words of four bytes, so that no product is in vain. A word holds
terms of one code or of several; each makes a *part* of it.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .vector import Emitter

__all__ = ["DOT_LANES", "DOT_ROWS", "add_terms_1", "add_terms_4", "word_parts"]

DOT_ROWS = 4
"""Rows of weights that are summed at a time: with as many vectors, 16 registers of sums."""

_LANES = 16
_N_VECTORS = 4

DOT_LANES = _LANES * _N_VECTORS
"""Lane codes that are summed at a time."""

_DOT_PRODUCT = "llvm.x86.avx512.vpdpbusd.512"

_BYTE, _WORD, _LONG = (ir.IntType(width) for width in (8, 32, 64))
_WORDS = ir.VectorType(_WORD, _LANES)


def word_parts(n_terms: int) -> list[list[int]]:
    """Return which of four codes have terms in each of ``n_terms`` words."""
    slots = range(4 * n_terms)
    return [sorted({slot // n_terms for slot in slots[i : i + 4]}) for i in slots[::4]]


def _add_terms(n_rows: int) -> Any:
    """Make the sum of the terms of ``n_rows`` rows r, for ``DOT_LANES`` positions p.

    ``sums[r·pitch + p] = base[p] + Σ_k Σ_t (lanes[starts[k] + position + p] & mask[t])·w[r, k, t]``

    ``masks`` are T tuples, one for each word, of the masks of its parts in the places of their
    terms; ``weights`` are the words of the signed bytes w, ``[k / 4, word, row]`` as one line from
    ``first`` on. There are four times ``n_fours`` starts.
    """

    @intrinsic
    def add_terms(
        _typing: Any,
        lanes: Any,
        position: Any,
        starts: Any,
        n_fours: Any,
        masks: Any,
        weights: Any,
        first: Any,
        base: Any,
        sums: Any,
        pitch: Any,
    ) -> Any:
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            emitter = Emitter(context, builder, signature, arguments)
            _emit_add_terms(emitter, len(signature.args[4]), n_rows)
            return context.get_dummy_value()

        index = types.int64
        return (
            types.void(lanes, index, starts, index, masks, weights, index, base, sums, index),
            emit,
        )

    return add_terms


def _emit_add_terms(emitter: Emitter, n_terms: int, n_rows: int) -> None:
    b = emitter.builder
    lanes, position, starts, n_fours, masks, weights, first, base, sums, pitch = emitter.arguments
    multiply = cgutils.get_or_insert_function(
        b.module, ir.FunctionType(_WORDS, [_WORDS] * 3), _DOT_PRODUCT
    )
    parts = word_parts(n_terms)
    mask_words = [
        [_spread(b, b.trunc(b.extract_value(masks, [i, j]), _WORD)) for j in range(len(codes))]
        for i, codes in enumerate(parts)
    ]
    totals = [
        [
            cgutils.alloca_once_value(b, emitter.load(emitter.at(base, _LANES * v), _WORDS, 4))
            for v in range(_N_VECTORS)
        ]
        for _ in range(n_rows)
    ]
    one = emitter.long(1)
    with cgutils.for_range_slice(b, emitter.long(0), n_fours, one, intp=_LONG) as (four, _):
        k = b.mul(four, emitter.long(4))
        codes: dict[int, list[Any]] = {}
        words = b.add(first, b.mul(four, emitter.long(n_terms * n_rows)))
        for i, of_word in enumerate(parts):
            terms = [ir.Constant(_WORDS, None)] * _N_VECTORS
            for j, code in enumerate(of_word):
                if code not in codes:
                    start = emitter.scalar(starts, b.add(k, emitter.long(code)))
                    codes[code] = _fourfold(emitter, emitter.at(lanes, b.add(start, position)))
                terms = [
                    b.or_(term, b.and_(vector, mask_words[i][j]))
                    for term, vector in zip(terms, codes[code], strict=True)
                ]
            for row in range(n_rows):
                place = b.add(words, emitter.long(i * n_rows + row))
                values = _spread(b, emitter.scalar(weights, place))
                for total, vector in zip(totals[row], terms, strict=True):
                    b.store(b.call(multiply, [b.load(total), vector, values]), total)
    for row in range(n_rows):
        target = emitter.at(sums, b.mul(pitch, emitter.long(row)))
        for v in range(_N_VECTORS):
            pointer = b.bitcast(emitter.at(target, _LANES * v), _WORDS.as_pointer())
            b.store(b.load(totals[row][v]), pointer, align=4)


def _fourfold(emitter: Emitter, address: Any) -> list[Any]:
    """Return vectors of the codes at an address, each four times."""
    b, few = emitter.builder, ir.VectorType(_BYTE, _LANES)
    places = ir.Constant(ir.VectorType(_WORD, 4 * _LANES), [i // 4 for i in range(4 * _LANES)])
    vectors = []
    for v in range(_N_VECTORS):
        codes = emitter.load(emitter.at(address, _LANES * v), few, 1)
        vectors.append(b.bitcast(b.shuffle_vector(codes, codes, places), _WORDS))
    return vectors


def _spread(builder: Any, word: Any) -> Any:
    """Return a vector whose lanes are all ``word``."""
    one = builder.insert_element(ir.Constant(_WORDS, ir.Undefined), word, ir.Constant(_WORD, 0))
    return builder.shuffle_vector(one, one, ir.Constant(_WORDS, None))


add_terms_1: Callable[..., None] = _add_terms(1)
add_terms_4: Callable[..., None] = _add_terms(DOT_ROWS)
