"""Vector instructions as functions for compiled kernels, written in LLVM's language.

Sums of 16-bit table entries v are kept in two 16-bit lanes, A = Σv mod 2¹⁶ and B = Σ⌊v/256⌋. For
up to 257 entries B is exact, and so is A − 256·B mod 2¹⁶ = Σ(v mod 256); the sum is that plus
256·B.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

__all__ = [
    "EXACT_TERMS",
    "LANES",
    "Emitter",
    "add_rows_16",
    "add_rows_32",
    "add_rows_64",
    "copy",
    "has_byte_dot_product",
    "has_byte_permute",
    "permute_1",
    "permute_4",
    "transpose_8",
]

LANES = 64
"""Lane codes in a vector of bytes."""

EXACT_TERMS = 256
"""Entries that two 16-bit lanes sum exactly."""

_BYTE, _HALF, _WORD, _LONG = (ir.IntType(width) for width in (8, 16, 32, 64))
_BYTE_PERMUTE = "llvm.x86.avx512.vpermi2var.qi.512"


def has_byte_permute() -> bool:
    """Return whether numba compiles for a processor with ``vpermi2b``, AVX-512 VBMI."""
    return _has("avx512f", "avx512bw", "avx512vbmi")


def has_byte_dot_product() -> bool:
    """Return whether numba compiles for a processor with ``vpdpbusd``, AVX-512 VNNI."""
    return _has("avx512f", "avx512bw", "avx512vnni")


def _has(*features: str) -> bool:
    _, _, known = cpu_target.target_context.codegen().magic_tuple()
    return {f"+{feature}" for feature in features} <= set(known.split(","))


def _vector(element: Any, n_lanes: int) -> Any:
    return ir.VectorType(element, n_lanes)


def _filled(element: Any, n_lanes: int, value: int) -> Any:
    return ir.Constant(_vector(element, n_lanes), [value] * n_lanes)


class Emitter:
    """Instructions of one call of an intrinsic."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self.builder = builder
        self.arguments = [
            context.make_helper(builder, kind, argument).data
            if isinstance(kind, types.Array)
            else argument
            for kind, argument in zip(signature.args, arguments, strict=True)
        ]

    def at(self, base: Any, index: Any) -> Any:
        """Address of element ``index``, a number or a value."""
        return self.builder.gep(base, [self.long(index)])

    def long(self, value: Any) -> Any:
        """64-bit integer: a number or a value."""
        return ir.Constant(_LONG, value) if isinstance(value, int) else value

    def scalar(self, base: Any, index: Any) -> Any:
        """Element ``index`` of an array."""
        return self.builder.load(self.at(base, index))

    def load(self, address: Any, kind: Any, align: int) -> Any:
        """Value of a type at an address that is a multiple of ``align`` bytes."""
        return self.builder.load(self.builder.bitcast(address, kind.as_pointer()), align=align)

    def accumulators(self, kind: Any, count: int) -> list[Any]:
        """Variables that are 0 at first."""
        return [
            cgutils.alloca_once_value(self.builder, ir.Constant(kind, None)) for _ in range(count)
        ]

    def accumulate(self, low: Any, high: Any, entries: Any, n_lanes: int) -> None:
        """Add 16-bit entries to A (``low``) and B (``high``)."""
        b = self.builder
        b.store(b.add(b.load(low), entries), low)
        shifted = b.lshr(entries, _filled(_HALF, n_lanes, 8))
        b.store(b.add(b.load(high), shifted), high)

    def low_bytes(self, low: Any, high: Any, n_lanes: int) -> Any:
        """Return A − 256·B."""
        b = self.builder
        return b.sub(b.load(low), b.shl(b.load(high), _filled(_HALF, n_lanes, 8)))

    def add_to(self, address: Any, values: Any) -> None:
        """Add 32-bit values to those in memory."""
        b = self.builder
        pointer = b.bitcast(address, values.type.as_pointer())
        b.store(b.add(b.load(pointer, align=4), values), pointer, align=4)

    def widen(self, low: Any, high: Any, n_lanes: int) -> Any:
        """Return ``low + 256 · high`` in 32 bits."""
        b = self.builder
        low, high = (b.zext(value, _vector(_WORD, n_lanes)) for value in (low, high))
        return b.add(low, b.shl(high, _filled(_WORD, n_lanes, 8)))


def _permute(n_vectors: int) -> Any:
    """Make the sum of the entries of 64 · ``n_vectors`` lanes; all tables stay in registers."""

    @intrinsic
    def permute(
        _typing: Any,
        lanes: Any,
        position: Any,
        starts: Any,
        codes: Any,
        tables: Any,
        first: Any,
        last: Any,
        sums: Any,
    ) -> Any:
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            emitter = Emitter(context, builder, signature, arguments)
            _emit_permute(emitter, n_vectors)
            return context.get_dummy_value()

        index = types.int64
        return types.void(lanes, index, starts, codes, tables, index, index, sums), emit

    return permute


def _emit_permute(emitter: Emitter, n_vectors: int) -> None:
    b = emitter.builder
    lanes, position, starts, codes, tables, first, last, sums = emitter.arguments
    bytes_, halves = _vector(_BYTE, LANES), _vector(_HALF, LANES // 2)
    look_up = cgutils.get_or_insert_function(
        b.module, ir.FunctionType(bytes_, [bytes_] * 3), _BYTE_PERMUTE
    )
    # Of each vector: A and B of the low bytes of its entries, A and B of the high bytes. A lane
    # of 16 bits holds two neighbours, of which B is the odd one.
    totals = [emitter.accumulators(halves, 4) for _ in range(n_vectors)]
    with cgutils.for_range_slice(b, first, last, emitter.long(1), intp=_LONG) as (k, _):
        source = emitter.at(lanes, b.add(emitter.scalar(starts, k), position))
        code = b.zext(emitter.scalar(codes, k), _LONG)
        table = emitter.at(tables, b.mul(code, emitter.long(512)))
        quarters = [emitter.load(emitter.at(table, LANES * i), bytes_, LANES) for i in range(8)]
        for vector in range(n_vectors):
            codes_x = emitter.load(emitter.at(source, LANES * vector), bytes_, 1)
            upper = b.icmp_signed("<", codes_x, ir.Constant(bytes_, None))
            for half in range(2):
                q = quarters[4 * half : 4 * half + 4]
                below = b.call(look_up, [q[0], codes_x, q[1]])
                above = b.call(look_up, [q[2], codes_x, q[3]])
                entries = b.bitcast(b.select(upper, above, below), halves)
                low, high = totals[vector][2 * half : 2 * half + 2]
                emitter.accumulate(low, high, entries, LANES // 2)
    interleaved = ir.Constant(
        _vector(_WORD, LANES), [lane for i in range(LANES // 2) for lane in (i, LANES // 2 + i)]
    )
    for vector in range(n_vectors):
        halves_of_sum = []
        for half in range(2):
            low, high = totals[vector][2 * half : 2 * half + 2]
            even = emitter.low_bytes(low, high, LANES // 2)
            halves_of_sum.append(b.shuffle_vector(even, b.load(high), interleaved))
        total = emitter.widen(halves_of_sum[0], halves_of_sum[1], LANES)
        emitter.add_to(emitter.at(sums, LANES * vector), total)


def _add_rows(width: int) -> Any:
    """Make ``sums[target + n] += Σ_k tables[(k − first)·256 + lanes[starts[k] + position], n]``."""

    @intrinsic
    def add_rows(
        _typing: Any,
        lanes: Any,
        position: Any,
        starts: Any,
        first: Any,
        last: Any,
        tables: Any,
        sums: Any,
        target: Any,
    ) -> Any:
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _emit_add_rows(Emitter(context, builder, signature, arguments), width)
            return context.get_dummy_value()

        index = types.int64
        return types.void(lanes, index, starts, index, index, tables, sums, index), emit

    return add_rows


def _emit_add_rows(emitter: Emitter, width: int) -> None:
    b = emitter.builder
    lanes, position, starts, first, last, tables, sums, target = emitter.arguments
    row = _vector(_HALF, width)
    low, high = emitter.accumulators(row, 2)
    with cgutils.for_range_slice(b, first, last, emitter.long(1), intp=_LONG) as (k, _):
        code = emitter.scalar(lanes, b.add(emitter.scalar(starts, k), position))
        table = b.shl(b.sub(k, first), emitter.long(8))
        index = b.mul(b.add(table, b.zext(code, _LONG)), emitter.long(width))
        # The rows of a table are as wide as they are aligned, up to a line of the cache.
        entries = emitter.load(emitter.at(tables, index), row, min(2 * width, 64))
        emitter.accumulate(low, high, entries, width)
    total = emitter.widen(emitter.low_bytes(low, high, width), b.load(high), width)
    emitter.add_to(emitter.at(sums, target), total)


@intrinsic
def transpose_8(
    _typing: Any,
    columns: Any,
    codes: Any,
    row: Any,
    lane: Any,
    tables: Any,
    target: Any,
    pitch: Any,
) -> Any:
    """Set ``tables[target + j·pitch + i]`` to ``columns[256·codes[row + i] + lane + j]``.

    For 0 ≤ i, j < 8; the entries are of 16 bits.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _emit_transpose(Emitter(context, builder, signature, arguments))
        return context.get_dummy_value()

    index = types.int64
    return types.void(columns, codes, index, index, tables, index, index), emit


def _emit_transpose(emitter: Emitter) -> None:
    b = emitter.builder
    columns, codes, row, lane, tables, target, pitch = emitter.arguments
    octet = _vector(_HALF, 8)
    rows = []
    for i in range(8):
        code = b.zext(emitter.scalar(codes, b.add(row, emitter.long(i))), _LONG)
        start = b.add(b.shl(code, emitter.long(8)), lane)
        rows.append(emitter.load(emitter.at(columns, start), octet, 2))
    # Three times, a row is interleaved with the one four rows below; that is a transposition.
    for _ in range(3):
        halves = [(rows[i], rows[i + 4], start) for i in range(4) for start in (0, 4)]
        rows = [
            b.shuffle_vector(
                upper,
                lower,
                ir.Constant(
                    _vector(_WORD, 8), [x for i in range(4) for x in (start + i, start + i + 8)]
                ),
            )
            for upper, lower, start in halves
        ]
    for j in range(8):
        place = b.add(target, b.mul(pitch, emitter.long(j)))
        b.store(rows[j], b.bitcast(emitter.at(tables, place), octet.as_pointer()), align=2)


@intrinsic
def copy(
    _typing: Any, target: Any, target_start: Any, source: Any, source_start: Any, count: Any
) -> Any:
    """Copy ``count`` items of one array to another; they may not overlap, nor be negative."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emitter = Emitter(context, builder, signature, arguments)
        to, to_start, origin, origin_start, n_items = emitter.arguments
        size = signature.args[0].dtype.bitwidth // 8
        cgutils.raw_memcpy(
            builder, emitter.at(to, to_start), emitter.at(origin, origin_start), n_items, size
        )
        return context.get_dummy_value()

    index = types.int64
    return types.void(target, index, source, index, index), emit


permute_1: Callable[..., None] = _permute(1)
permute_4: Callable[..., None] = _permute(4)
add_rows_16: Callable[..., None] = _add_rows(16)
add_rows_32: Callable[..., None] = _add_rows(32)
add_rows_64: Callable[..., None] = _add_rows(64)
