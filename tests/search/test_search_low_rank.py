"""Exact low-rank factors of tables, and the sums that they make."""

import itertools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from qosnets.errors import InputError
from qosnets.library import cache_home
from qosnets.lut import Lut, exact_lut
from qosnets_library.characterise import rank
from qosnets_library.default import default_library
from qosnets_search.kernels import exact_products, factorise, lattice, low_rank
from qosnets_search.kernels.byte_terms import ByteTerms, split_bytes
from qosnets_search.kernels.exact_products import Method, reason_against, terms_of
from qosnets_search.kernels.factorise import MAX_RANK, Factors, NoFactorsError
from qosnets_search.kernels.lattice import reduce_lattice, row_lattice
from qosnets_search.kernels.low_rank import exact_method, low_rank_conv2d, low_rank_matmul

Codes = npt.NDArray[np.uint8]
CPU = torch.device("cpu")
METHODS = (Method.INT8, Method.FLOAT32, Method.FLOAT64)
X, W = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")


def _partial_products(keep: Callable[[int, int], bool]) -> npt.NDArray[np.int64]:
    """Return the table of a multiplier with only some of the bits' products."""
    bits = itertools.product(range(8), repeat=2)
    return sum(
        ((X >> i & 1) * (W >> j & 1) << (i + j) for i, j in bits if keep(i, j)),
        start=np.zeros((256, 256), dtype=np.int64),
    )


def _random(n_terms: int) -> npt.NDArray[np.int64]:
    """Return a table that has low rank but no structure."""
    random = np.random.default_rng(n_terms)
    left = random.integers(0, 8, (256, n_terms))
    return left @ random.integers(0, 9000 // n_terms, (n_terms, 256))


# By name: the table and its rank.
TABLES: dict[str, tuple[npt.NDArray[np.int64], int]] = {
    "zero": (0 * X, 0),
    "constant": (0 * X + 65535, 1),
    "exact": (X * W, 1),
    "operands without low bits": ((X & 0xFC) * (W & 0xF0), 1),
    "compensated": ((X & 0xF8) * (W & 0xF8) + 4 * X + 3 * W + 12, 3),
    "above 255 squared": (X * W + 192, 2),
    "only the activation": (X * 257, 1),
    "low columns dropped": (_partial_products(lambda i, j: i + j >= 7), 8),
    "low rows dropped": (_partial_products(lambda i, j: j >= 3), 1),
    "not commutative": ((X & 0xF0) * W + (X & 0x0F) * (W & 0xC0) + (X >> 6), 3),
    "not linear in bits": ((X * X >> 3) * 3 + (X | W), 9),
    "random 5": (_random(5), 5),
    "random 24": (_random(24), 24),
}


def _table(name: str) -> Lut:
    return TABLES[name][0].astype(np.uint16)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    # Threads that wait for each other in tiny products take a minute where cores are busy.
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="module")
def factors() -> Iterator[dict[str, Factors]]:
    yield {name: factorise.factorise(_table(name)) for name in TABLES}


def _brute_matmul(x: Codes, w: Codes, lut: Lut) -> npt.NDArray[np.int64]:
    total = np.zeros((len(x), w.shape[1]), dtype=np.int64)
    for k in range(x.shape[1]):
        total += lut[x[:, k, None], w[None, k]]
    return total


def _brute_conv2d(
    x: Codes,
    w: Codes,
    lut: Lut,
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
    padding_code: int,
    dilation: tuple[int, int],
    groups: int,
) -> npt.NDArray[np.int64]:
    top, left, bottom, right = padding
    borders = ((0, 0), (0, 0), (top, bottom), (left, right))
    padded = np.pad(x, borders, constant_values=padding_code)
    spans = [dilation[axis] * (w.shape[2 + axis] - 1) for axis in (0, 1)]
    size = [(padded.shape[2 + axis] - spans[axis] - 1) // stride[axis] + 1 for axis in (0, 1)]
    result = np.zeros((len(x), len(w), *size), dtype=np.int64)
    per_group = len(w) // groups
    for o, c, i, j in np.ndindex(w.shape):
        channel = o // per_group * w.shape[1] + c
        rows = slice(i * dilation[0], i * dilation[0] + stride[0] * (size[0] - 1) + 1, stride[0])
        lines = slice(j * dilation[1], j * dilation[1] + stride[1] * (size[1] - 1) + 1, stride[1])
        result[:, o] += lut[padded[:, channel, rows, lines], w[o, c, i, j]]
    return result


def _matmul(x: Codes, w: Codes, table: Factors, method: Method | None) -> npt.NDArray[np.int32]:
    result = low_rank_matmul(torch.from_numpy(x), torch.from_numpy(w), table, method=method)
    assert result.dtype == torch.int32
    return result.numpy()


@pytest.mark.parametrize("name", TABLES)
def test_factors_are_exact_and_as_many_as_the_rank(name: str, factors: dict[str, Factors]) -> None:
    found = factors[name]
    assert found.rank == TABLES[name][1] == rank(_table(name))
    assert np.array_equal(found.left @ found.right, TABLES[name][0])
    assert found.byte_terms.n_terms <= 4 * found.rank
    sums = np.einsum("xr,rw->xw", np.abs(found.left), np.abs(found.right))
    assert found.float_k_chunk * max(1, sums.max()) < 2**24


@pytest.mark.parametrize(
    ("name", "n_terms"), [("zero", 0), ("constant", 0), ("exact", 1), ("only the activation", 0)]
)
def test_constant_parts_cost_no_byte_term(
    name: str, n_terms: int, factors: dict[str, Factors]
) -> None:
    assert factors[name].byte_terms.n_terms == n_terms


def _members(low: int, high: int) -> list[str]:
    entries = default_library().entries
    return [name for name in entries if low <= (entries[name].metrics.rank or 0) <= high]


@pytest.mark.parametrize("name", _members(0, 9))
def test_members_of_low_rank_factor(name: str) -> None:
    _check_member(name)


@pytest.mark.long
@pytest.mark.parametrize("name", _members(10, MAX_RANK))
def test_members_of_higher_rank_factor(name: str) -> None:
    _check_member(name)


def _check_member(name: str) -> None:
    library = default_library()
    found = factorise.factorise(library.lut(name))
    assert np.array_equal(found.left @ found.right, library.lut(name))
    assert found.rank == library.entry(name).metrics.rank
    random = np.random.default_rng(found.rank)
    x = random.integers(0, 256, (19, 300), dtype=np.uint8)
    w = random.integers(0, 256, (300, 7), dtype=np.uint8)
    for method in METHODS:
        expected = _brute_matmul(x, w, library.lut(name))
        assert np.array_equal(_matmul(x, w, found, method), expected)


def test_table_of_high_rank_is_refused() -> None:
    table = np.random.default_rng(0).integers(0, 2**16, (256, 256), dtype=np.uint16)
    with pytest.raises(NoFactorsError, match=r"rank of the table must be at most 60, not 256$"):
        factorise.factorise(table)


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (np.ones((256, 1), np.int64), np.ones((1, 256), np.int64), "must be the table"),
        (np.ones((256, 2), np.int64), np.ones((1, 256), np.int64), r"must be \[256, r\]"),
        (np.ones((256, 1), np.int32), np.ones((1, 256), np.int64), "must be int64"),
        (np.full((256, 1), -(2**24)), np.zeros((1, 256), np.int64), "below 2²⁴"),
    ],
)
def test_wrong_factors_are_refused(
    left: npt.NDArray[np.int64], right: npt.NDArray[np.int64], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Factors(_table("zero"), left, right)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"left":[[', '"left":[[1', 1),
        lambda text: text.replace('"left":[[', '"left":[[99999999999999999999', 1),
        lambda text: text.replace("[", "[[],", 1),
        lambda _: '{"left": [[1]], "right": [[1]]}',
        lambda _: '{"left": [], "right": []}',
    ],
)
def test_damaged_cache_is_rebuilt(
    damage: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    table = _table("not commutative")
    factorise.factorise(table)
    (entry,) = (cache_home() / "factors").iterdir()
    sound = entry.read_text()
    entry.write_text(damage(sound))
    assert entry.read_text() != sound
    assert np.array_equal((found := factorise.factorise(table)).left @ found.right, table)
    assert entry.read_text() == sound


def test_factors_are_read_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    table = _table("low columns dropped")
    first = factorise.factorise(table)
    monkeypatch.setattr(factorise, "_search", None)
    again = factorise.factorise(table)
    assert np.array_equal(first.left, again.left)
    assert np.array_equal(first.right, again.right)


@pytest.mark.parametrize(
    ("generators", "volume"),
    [
        ([[6, 0], [4, 0], [0, 3]], 6),
        ([[0, 0], [5, 5]], 0),
        ([[1, 2], [3, 4], [5, 7], [7, 9]], 1),
        ([[10**6, 1], [10**6 + 1, 1]], 1),
    ],
)
def test_dependent_generators_make_a_basis(generators: list[list[int]], volume: int) -> None:
    for basis in (reduce_lattice(np.array(generators)), row_lattice(np.array(generators))):
        if volume:
            assert round(abs(np.linalg.det(basis))) == volume
        else:
            assert np.abs(basis).tolist() == [[5, 5]]


def test_search_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lattice, "_MAX_STEPS", 3)
    with pytest.raises(ArithmeticError, match="does not end"):
        row_lattice(TABLES["random 5"][0])
    with pytest.raises(NoFactorsError, match="no small factors found for a table of rank 5"):
        factorise._search(_table("random 5"))


def test_wrong_coordinates_are_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factorise, "coordinates", lambda matrix, basis: 0 * matrix @ basis.T)
    with pytest.raises(NoFactorsError, match="no small factors found"):
        factorise._search(_table("random 5"))


@pytest.mark.parametrize(
    ("vector", "n_terms"),
    [
        (np.full(256, 70), 0),
        (np.arange(256) - 128, 1),
        (np.arange(256) * 2, 1),
        (np.arange(256) * 2 + (np.arange(256) == 255), 2),
        (np.arange(256) * 257, 1),
        (np.arange(256) ** 2, 2),
    ],
)
def test_vectors_take_as_few_bytes_as_they_have_steps(
    vector: npt.NDArray[np.int64], n_terms: int
) -> None:
    table = np.outer(vector, np.arange(256) == 1)
    assert split_bytes(table, vector[:, None], np.eye(1, 256, 1, np.int64)).n_terms == n_terms


def test_wrong_byte_terms_are_refused(factors: dict[str, Factors]) -> None:
    terms = factors["random 5"].byte_terms
    with pytest.raises(ValueError, match="must make up the table"):
        ByteTerms(_table("random 5"), terms.groups, terms.row_offset + 1, terms.column_offset)


SHAPES = [(1, 1, 1), (3, 1, 5), (40, 700, 9), (17, 64, 33)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", TABLES)
def test_matmul_equals_brute_force(
    name: str, method: Method, factors: dict[str, Factors], monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(7)
    for n_fields, (n_rows, reduction, n_columns) in itertools.product((3, 256), SHAPES):
        monkeypatch.setattr(low_rank, "_BLOCK_FIELDS", n_fields)
        monkeypatch.setattr(low_rank, "_BLOCK_BYTES", 1)
        x = random.integers(0, 256, (n_rows, reduction), dtype=np.uint8)
        w = random.integers(0, 256, (reduction, n_columns), dtype=np.uint8)
        expected = _brute_matmul(x, w, _table(name))
        assert np.array_equal(_matmul(x, w, factors[name], method), expected)


@pytest.mark.parametrize("case", range(60))
def test_conv2d_equals_brute_force(
    case: int, factors: dict[str, Factors], monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(case)
    monkeypatch.setattr(low_rank, "_BLOCK_FIELDS", int(random.choice([1, 20, 256])))
    monkeypatch.setattr(low_rank, "_BLOCK_BYTES", 1)
    name = list(TABLES)[case % len(TABLES)]
    groups, kernel = int(random.integers(1, 4)), random.integers(1, 4, 2)
    channels, outputs = random.integers(1, 4, 2)
    x = random.integers(0, 256, (random.integers(1, 4), groups * channels, 9, 8), dtype=np.uint8)
    w = random.integers(0, 256, (groups * outputs, channels, *kernel), dtype=np.uint8)
    stride, dilation = (tuple(map(int, random.integers(1, 4, 2))) for _ in range(2))
    padding = tuple(map(int, random.integers(0, 3, 4)))
    code = int(random.integers(256))
    found = low_rank_conv2d(
        torch.from_numpy(x),
        torch.from_numpy(w),
        factors[name],
        stride=stride,
        padding=padding,
        padding_code=code,
        dilation=dilation,
        groups=groups,
        method=METHODS[case % 3],
    )
    expected = _brute_conv2d(x, w, _table(name), stride, padding, code, dilation, groups)
    assert found.dtype == torch.int32
    assert found.is_contiguous()
    assert np.array_equal(found.numpy(), expected)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["exact", "constant", "above 255 squared", "random 24"])
def test_largest_sums_are_exact(name: str, method: Method, factors: dict[str, Factors]) -> None:
    table = _table(name)
    reduction = (2**31 - 1) // int(table.max())
    a, b = np.unravel_index(table.argmax(), table.shape)
    x = np.full((2, reduction), a, dtype=np.uint8)
    w = np.full((reduction, 2), b, dtype=np.uint8)
    # K is above what one product may sum: 2¹⁷ terms of bytes, and some 200 of float32.
    assert reduction > factors[name].float_k_chunk
    assert np.all(_matmul(x, w, factors[name], method) == reduction * int(table.max()))
    more = np.full((2, reduction + 1), a, dtype=np.uint8), np.full((reduction + 1, 2), b, np.uint8)
    with pytest.raises(InputError, match="K: "):
        _matmul(*more, factors[name], method)


@pytest.mark.parametrize("method", METHODS)
def test_two_threads_give_the_same_sums(method: Method, factors: dict[str, Factors]) -> None:
    random = np.random.default_rng(1)
    x = random.integers(0, 256, (150, 200), dtype=np.uint8)
    w = random.integers(0, 256, (200, 40), dtype=np.uint8)
    torch.set_num_threads(2)
    try:
        found = _matmul(x, w, factors["random 24"], method)
    finally:
        torch.set_num_threads(1)
    assert np.array_equal(found, _brute_matmul(x, w, _table("random 24")))


@pytest.mark.parametrize("method", METHODS)
def test_operand_order_matters(method: Method, factors: dict[str, Factors]) -> None:
    table = _table("not commutative")
    swapped = factorise.factorise(np.ascontiguousarray(table.T))
    x = np.arange(256, dtype=np.uint8)[:, None]
    w = np.ascontiguousarray(x.T)
    assert np.array_equal(_matmul(x, w, factors["not commutative"], method), table)
    assert np.array_equal(_matmul(x, w, swapped, method), table.T)
    assert not np.array_equal(table, table.T)


def _cancelling() -> Factors:
    """Return factors of the exact product that float32 cannot sum."""
    codes = np.arange(256, dtype=np.int64)
    large = np.full(256, 2**20)
    left = np.stack([codes, large, large], axis=1)
    return Factors(exact_lut(), left, np.stack([codes, large, -large]))


def test_float32_is_refused_where_partial_sums_are_too_large() -> None:
    table = _cancelling()
    assert table.float_k_chunk == 0
    assert "above 2^24" in str(reason_against(Method.FLOAT32, table, CPU))
    x = np.arange(256, dtype=np.uint8)[:, None]
    assert np.array_equal(_matmul(x, x.T.copy(), table, Method.FLOAT64), exact_lut())
    with pytest.raises(InputError, match="method must be exact, not float32: partial sums"):
        _matmul(x, x.T.copy(), table, Method.FLOAT32)


def test_float32_is_refused_where_torch_may_round_operands(factors: dict[str, Factors]) -> None:
    assert reason_against(Method.FLOAT32, factors["exact"], CPU) is None
    torch.set_float32_matmul_precision("medium")
    try:
        assert "less than float32" in str(reason_against(Method.FLOAT32, factors["exact"], CPU))
    finally:
        torch.set_float32_matmul_precision("highest")


def _saturating(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Multiply as AVX2 does without a dot product: sums of two products stop at 16 bits."""
    products = (left.int() + 128)[:, :, None] * right.int()[None]
    if odd := products.shape[1] % 2:
        products = torch.nn.functional.pad(products, (0, 0, 0, odd))
    pairs = products.unflatten(1, (-1, 2)).sum(dim=2).clamp(-(2**15), 2**15 - 1)
    return (pairs.sum(dim=1) - 128 * right.int().sum(dim=0)).to(torch.int32)


def test_bytes_that_saturate_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert exact_products._exact_bytes.__wrapped__(Method.INT8, CPU)
    monkeypatch.setattr(exact_products, "_multiply_bytes", _saturating)
    assert not exact_products._exact_bytes.__wrapped__(Method.INT8, CPU)


def test_slower_methods_are_fallen_back_to_and_the_reason_logged_once(
    factors: dict[str, Factors], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert exact_method(factors["exact"], CPU) is Method.INT8
    monkeypatch.setattr(exact_products, "_exact_bytes", lambda *_: False)
    monkeypatch.setattr(low_rank, "_told", set())
    with caplog.at_level(logging.WARNING):
        assert exact_method(factors["exact"], CPU) is Method.FLOAT32
        assert exact_method(factors["exact"], CPU) is Method.FLOAT32
        assert exact_method(_cancelling(), CPU) is Method.FLOAT64
    assert [message.split(":")[0] for message in caplog.messages] == [
        "low rank without int8",
        "low rank without float16",
        "low rank without float32",
    ]


def test_half_precision_tables_hold_bytes_and_sum_below_24_bits(
    factors: dict[str, Factors], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no tensor cores" in str(reason_against(Method.FLOAT16, factors["exact"], CPU))

    def multiply(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        assert left.dtype == right.dtype == torch.float16
        assert left.shape[1] << 14 < 2**24
        return (left.float() @ right.float()).to(torch.int32)

    monkeypatch.setattr(exact_products, "_multiply_halves", multiply)
    monkeypatch.setattr(low_rank, "reason_against", lambda *_: None)
    random = np.random.default_rng(3)
    x = random.integers(0, 256, (5, 2000), dtype=np.uint8)
    w = random.integers(0, 256, (2000, 5), dtype=np.uint8)
    for name in ("exact", "random 24", "not linear in bits"):
        expected = _brute_matmul(x, w, _table(name))
        assert np.array_equal(_matmul(x, w, factors[name], Method.FLOAT16), expected)


@pytest.mark.parametrize("sizes", [(1, 1, 1), (256, 1, 256), (17, 8, 8), (20, 13, 3), (16, 24, 9)])
def test_aligned_sizes_give_the_same_product(sizes: tuple[int, int, int]) -> None:
    n_rows, reduction, n_columns = sizes
    left = torch.randint(-128, 128, (n_rows, reduction), dtype=torch.int8)
    right = torch.randint(-128, 128, (n_columns, reduction), dtype=torch.int8).T
    expected = left.long() @ right.long()
    assert torch.equal(exact_products._aligned(left, right).long(), expected)


def test_byte_products_are_never_summed_beyond_int32(factors: dict[str, Factors]) -> None:
    for group in terms_of(factors["random 24"], Method.INT8, CPU).groups:
        assert group.k_chunk * group.left.shape[1] * 2**14 < 2**31


@pytest.mark.parametrize(
    ("x", "w", "message"),
    [
        (torch.zeros(2, 3), torch.zeros(3, 2, dtype=torch.uint8), "x: must be uint8"),
        (torch.zeros(2, 3, dtype=torch.uint8), torch.zeros(4, 2, dtype=torch.uint8), "3 rows"),
        (torch.zeros(3, 2, dtype=torch.uint8).T, torch.zeros(3, 2, dtype=torch.uint8), "contig"),
    ],
)
def test_wrong_operands_are_refused(
    x: torch.Tensor, w: torch.Tensor, message: str, factors: dict[str, Factors]
) -> None:
    with pytest.raises(InputError, match=message):
        low_rank_matmul(x, w, factors["exact"])
