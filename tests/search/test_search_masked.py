"""Tables that are sums of masked products, and the paths that make use of it, by the oracle."""

import numpy as np
import pytest
import torch
from qosnets.errors import InputError
from qosnets_library.merged.masks import WEIGHTS, MergedMasks
from qosnets_search.kernels import KernelPath, lut_conv2d, lut_matmul
from qosnets_search.kernels.masked_products import as_factors, find_masked_products
from qosnets_search.kernels.vector import has_byte_dot_product

needs_instruction = pytest.mark.skipif(
    not has_byte_dot_product(), reason="the processor has no AVX-512 VNNI"
)
PATHS = [pytest.param(KernelPath.MASKED, marks=needs_instruction), KernelPath.LOW_RANK]
EXACT = np.outer(np.arange(256), np.arange(256)).astype(np.uint16)


@pytest.fixture(autouse=True)
def one_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def table(kept, constant=0) -> np.ndarray:
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    return (bits @ (WEIGHTS * kept) @ bits.T + constant).astype(np.uint16)


def staircase(n_terms: int) -> np.ndarray:
    """Return a mask with so many different rows, and columns."""
    steps = np.minimum(np.arange(8), n_terms - 1)
    return steps[:, None] + steps >= n_terms - 1


def random_mask(rng) -> np.ndarray:
    """Half of the time with rows that merge."""
    rows = rng.integers(0, 2, (8, 8), dtype=np.uint8).astype(bool)
    return rows if rng.integers(2) else rows[rng.integers(0, 3, 8)]


KEPT = {"none": np.zeros((8, 8), bool), "one product": np.outer(*2 * [np.arange(8) == 7])}
KEPT["not symmetric"] = staircase(5) & (np.arange(8)[:, None] != 6)
KEPT |= {f"{n_terms} terms": staircase(n_terms) for n_terms in range(1, 9)}


@pytest.mark.parametrize("seed", range(10))
def test_masks_are_found_in_either_order(seed):
    rng = np.random.default_rng(seed)
    kept, constant = random_mask(rng), int(rng.integers(500))
    for lut in (table(kept, constant), table(kept.T, constant)):
        terms = find_masked_products(lut)
        assert terms is not None
        assert np.array_equal(terms.lut(), lut)
        assert terms.constant == constant
        assert np.array_equal(as_factors(lut, terms).lut, lut)
    n_rows, n_columns = (
        len({row.tobytes() for row in rows if row.any()}) for rows in (kept, kept.T)
    )
    assert len(terms.a_masks) == min(n_rows, n_columns)


def test_modes_of_a_merged_multiplier_are_found():
    rows, columns = np.indices((8, 8))
    kill = np.clip((rows + columns) // 2, 1, 3).astype(np.uint8)
    force = np.where((rows == 0) & (columns == 5), kill, 3).astype(np.uint8)
    masks = MergedMasks(3, kill, force)
    for mode in range(3):
        terms = find_masked_products(masks.lut(mode))
        assert terms is not None and terms.constant == masks.constant(mode)
    assert masks.constant(2) == 32


def _changed(lut):
    lut = lut.copy()
    lut[200, 3] ^= 1
    return lut


@pytest.mark.parametrize(
    "lut",
    [
        _changed(EXACT),
        EXACT + np.arange(256, dtype=np.uint16),
        # Products beyond 16 bits: the sums of such a table are other ones.
        EXACT + np.uint16(511),
        np.random.default_rng(1).integers(0, 2**16, (256, 256), dtype=np.uint16),
    ],
    ids=["one entry", "a term of w alone", "beyond 16 bits", "random"],
)
def test_other_tables_are_not_taken_for_masked_products(lut):
    assert find_masked_products(lut) is None
    zeros = torch.zeros(2, 2, dtype=torch.uint8)
    if has_byte_dot_product():
        with pytest.raises(InputError, match=r"^path: masked: .*needs a table of masked products"):
            lut_matmul(zeros, zeros, torch.from_numpy(lut), path="masked")


def test_largest_product_of_16_bits_is_taken():
    terms = find_masked_products(EXACT + np.uint16(510))
    assert terms is not None and terms.constant == 510


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", KEPT)
@pytest.mark.parametrize("constant", [0, 77])
def test_matrix_products(path, name, constant):
    rng = np.random.default_rng(5)
    lut = torch.from_numpy(table(KEPT[name], constant))
    for n_rows, reduction, n_columns in [
        (1, 1, 1),
        (5, 6, 7),
        (2, 7, 70),
        (3, 17, 5),
        (4, 64, 65),
        (70, 33, 9),
        (9, 5, 260),
    ]:
        x, w = (
            torch.from_numpy(rng.integers(0, 256, size, dtype=np.uint8))
            for size in ((n_rows, reduction), (reduction, n_columns))
        )
        out = lut_matmul(x, w, lut, path=path)
        assert out.dtype == torch.int32 and out.is_contiguous()
        assert torch.equal(out, lut_matmul(x, w, lut, path="gather"))


CONVOLUTIONS = [
    # Batch, groups, channels of a group, outputs of a group, size, kernel.
    (2, 1, 3, 5, (9, 8), (3, 3)),
    (1, 1, 2, 33, (20, 21), (3, 2)),
    (3, 4, 1, 1, (8, 7), (3, 3)),
    (2, 2, 3, 6, (6, 5), (1, 1)),
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("case", CONVOLUTIONS)
@pytest.mark.parametrize("options", [{}, {"stride": (2, 1), "padding": (1, 0, 2, 1)}])
def test_convolutions(path, case, options):
    batch, groups, channels, outputs, size, kernel = case
    if path is KernelPath.LOW_RANK and groups > 1:
        pytest.skip("takes one group only")
    rng = np.random.default_rng(batch)
    x = rng.integers(0, 256, (batch, groups * channels, *size), dtype=np.uint8)
    w = rng.integers(0, 256, (groups * outputs, channels, *kernel), dtype=np.uint8)
    options = options | {"groups": groups, "padding_code": 131}
    for _ in range(4):
        kept = random_mask(rng)
        for mask in (kept, kept.T):
            operands = [torch.from_numpy(array) for array in (x, w, table(mask, 9))]
            out = lut_conv2d(*operands, **options, path=path)
            assert torch.equal(out, lut_conv2d(*operands, **options, path="gather"))


@needs_instruction
@pytest.mark.parametrize("name", ["1 terms", "5 terms", "8 terms"])
def test_largest_sums(name):
    kept = KEPT[name]
    lut = torch.from_numpy(table(kept, 500))
    largest = int((WEIGHTS * kept).sum()) + 500
    for reduction in (257, (2**31 - 1) // largest):
        x, w = (torch.full(size, 255).to(torch.uint8) for size in ((5, reduction), (reduction, 66)))
        assert torch.all(lut_matmul(x, w, lut, path="masked") == largest * reduction)


@needs_instruction
def test_threads_do_not_change_results():
    generator = torch.Generator().manual_seed(2)
    x = torch.randint(0, 256, (2, 16, 40, 40), generator=generator, dtype=torch.uint8)
    w = torch.randint(0, 256, (80, 16, 3, 3), generator=generator, dtype=torch.uint8)
    lut = torch.from_numpy(table(staircase(6), 3))
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(lut_conv2d(x, w, lut, padding=(1, 0, 2, 1), path="masked"))
    assert all(torch.equal(result, results[0]) for result in results[1:])
    assert torch.equal(results[0], lut_conv2d(x, w, lut, padding=(1, 0, 2, 1), path="direct"))
