"""Every path of the kernels against brute force, and bad input."""

import logging
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from qosnets.errors import InputError
from qosnets.lut import ActivationPort, oriented
from qosnets_library.default import default_library
from qosnets_search.kernels import (
    VARIABLE,
    ConvShape,
    KernelPath,
    MatmulShape,
    calibration,
    explain,
    lut_conv2d,
    lut_matmul,
    paths,
    planner,
)
from qosnets_search.kernels.lookup_sum import TILE, LookupSum
from qosnets_search.kernels.paths import registered
from qosnets_search.kernels.shapes import check_conv2d

EXACT = torch.from_numpy(np.arange(256, dtype=np.uint16)[:, None] * np.arange(256, dtype=np.uint16))
ANY_SHAPE = MatmulShape(2, 3, 4)
ANY_TABLE = torch.randint(2**16, (256, 256), generator=torch.Generator().manual_seed(1)).to(
    torch.uint16
)
PATHS = [path.name for path in registered() if path.usable(ANY_SHAPE, ANY_TABLE) is None]
"""Those for all tables."""
N_SEEDS = 24
N_CONVOLUTIONS = 20
N_MATMULS = 8


@pytest.fixture(autouse=True)
def one_thread():
    """The oracle's many small operations would wait for other threads."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def random_table(rng) -> np.ndarray:
    """Non-commutative, with all 16 bits in use."""
    return rng.integers(0, 2**16, (256, 256), dtype=np.uint16)


def codes(rng, *shape) -> np.ndarray:
    """Half of the time all values alike, so that the largest one meets itself."""
    values = rng.integers(0, 256, shape, dtype=np.uint8)
    return values if rng.integers(4) else np.full(shape, rng.choice([0, 127, 128, 255]), np.uint8)


def matmul_by_force(x, w, table) -> np.ndarray:
    return table.astype(np.int64)[x[:, :, None], w[None, :, :]].sum(axis=1)


def conv2d_by_force(x, w, table, stride, padding, padding_code, dilation, groups) -> np.ndarray:
    top, left, bottom, right = padding
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=padding_code)
    extents = [
        (padded.shape[2 + axis] - dilation[axis] * (w.shape[2 + axis] - 1) - 1) // stride[axis] + 1
        for axis in (0, 1)
    ]
    rows, columns = (np.arange(extents[axis]) * stride[axis] for axis in (0, 1))
    out = np.zeros((len(x), len(w), *extents), np.int64)
    per_group = len(w) // groups
    for channel in range(len(w)):
        for i in range(w.shape[1]):
            plane = padded[:, channel // per_group * w.shape[1] + i]
            for j, k in np.ndindex(*w.shape[2:]):
                read = plane[:, (rows + j * dilation[0])[:, None], columns + k * dilation[1]]
                out[:, channel] += table[read, w[channel, i, j, k]]
    return out


@dataclass(frozen=True)
class Convolution:
    x: np.ndarray
    w: np.ndarray
    options: dict

    @classmethod
    def random(cls, rng) -> "Convolution":
        groups = int(rng.choice([1, 1, 2, 3]))
        group_channels, per_group = int(rng.integers(1, 4)), int(rng.choice([1, 2, 17, 33]))
        if rng.integers(3) == 0:
            groups, group_channels, per_group = int(rng.integers(1, 6)), 1, 1
        kernel, stride, dilation = (tuple(map(int, rng.integers(1, 4, 2))) for _ in range(3))
        padding = tuple(map(int, rng.integers(0, 4, 4) * rng.integers(0, 2)))
        spans = [dilation[axis] * (kernel[axis] - 1) + 1 for axis in (0, 1)]
        least = [max(1, spans[axis] - padding[axis] - padding[axis + 2]) for axis in (0, 1)]
        size = [int(rng.integers(smallest, smallest + 12)) for smallest in least]
        batch = int(rng.integers(1, 4))
        return cls(
            codes(rng, batch, groups * group_channels, *size),
            codes(rng, groups * per_group, group_channels, *kernel),
            {
                "stride": stride,
                "padding": padding,
                "padding_code": int(rng.choice([0, 255, rng.integers(256)])),
                "dilation": dilation,
                "groups": groups,
            },
        )


@pytest.mark.parametrize("seed", range(N_SEEDS))
def test_random_convolutions(seed):
    rng = np.random.default_rng(seed)
    table = random_table(rng)
    for _ in range(N_CONVOLUTIONS):
        case = Convolution.random(rng)
        expected = conv2d_by_force(case.x, case.w, table, **case.options)
        x, w, lut = map(torch.from_numpy, (case.x, case.w, table))
        for path in PATHS:
            out = lut_conv2d(x, w, lut, **case.options, path=path)
            assert out.dtype == torch.int32 and out.is_contiguous()
            assert np.array_equal(out.numpy(), expected), (path, case.x.shape, case.w.shape)


@pytest.mark.parametrize("seed", range(N_SEEDS))
def test_random_matrix_products(seed):
    rng = np.random.default_rng(seed)
    table = random_table(rng)
    for _ in range(N_MATMULS):
        sizes = rng.choice([1, 2, 3, 7, 16, 31, 64, 65, 100, 256, 300], 3)
        n_rows, reduction, n_columns = map(int, sizes)
        x, w = codes(rng, n_rows, reduction), codes(rng, reduction, n_columns)
        expected = matmul_by_force(x, w, table)
        for path in PATHS:
            out = lut_matmul(*map(torch.from_numpy, (x, w, table)), path=path)
            assert out.dtype == torch.int32 and out.is_contiguous()
            assert np.array_equal(out.numpy(), expected), (path, sizes)


@pytest.mark.parametrize("name", default_library().entries)
@pytest.mark.parametrize("port", ActivationPort)
def test_all_multipliers_in_both_orders(name, port):
    lut = default_library().lut(name)
    rng = np.random.default_rng(1)
    x, w = codes(rng, 2, 4, 9, 7), codes(rng, 5, 4, 3, 3)
    options = {"stride": (1, 1), "padding": (1,) * 4, "padding_code": 9}
    options |= {"dilation": (1, 1), "groups": 1}
    table = oriented(lut, port)
    expected = conv2d_by_force(x, w, table, **options)
    assert port is ActivationPort.A or np.array_equal(table[3], lut[:, 3])
    for path in PATHS:
        out = lut_conv2d(*map(torch.from_numpy, (x, w, table)), **options, path=path)
        assert np.array_equal(out.numpy(), expected), path


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("entry", [65535, 65280, 255, 256, 0])
@pytest.mark.parametrize("reduction", [1, 255, 256, 257, 258, 513, 4608])
def test_largest_sums(path, entry, reduction):
    lut = torch.full((256, 256), entry, dtype=torch.uint16)
    x = torch.randint(0, 256, (65, reduction), dtype=torch.uint8)
    w = torch.randint(0, 256, (reduction, 70), dtype=torch.uint8)
    assert torch.all(lut_matmul(x, w, lut, path=path) == entry * reduction)


@pytest.mark.parametrize("path", PATHS)
def test_the_largest_accumulator_that_int32_holds(path):
    lut = torch.full((256, 256), 65535, dtype=torch.uint16)
    x, w = (torch.full(size, 255, dtype=torch.uint8) for size in ((1, 2**15), (2**15, 1)))
    assert lut_matmul(x, w, lut, path=path).item() == 65535 * 2**15


@pytest.mark.parametrize("path", [path for path in PATHS if path is not KernelPath.GATHER])
def test_threads_do_not_change_results(path):
    rng = np.random.default_rng(2)
    x, w, lut = map(
        torch.from_numpy,
        (codes(rng, 2, 16, 40, 40), codes(rng, 80, 16, 3, 3), random_table(rng)),
    )
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(lut_conv2d(x, w, lut, padding=(1, 0, 2, 1), path=path))
    gathered = lut_conv2d(x[:1], w, lut, padding=(1, 0, 2, 1), path="gather")
    assert torch.equal(results[0][:1], gathered)
    assert all(torch.equal(result, results[0]) for result in results[1:])


@pytest.mark.parametrize("seed", range(3))
def test_no_kernel_reads_past_its_operands(seed):
    rng = np.random.default_rng(seed)
    for _ in range(100):
        case = Convolution.random(rng)
        x, w = map(torch.from_numpy, (case.x, case.w))
        sums = LookupSum.of_conv2d(x, w, EXACT, check_conv2d(x, w, EXACT, **case.options))
        n_read = -(-sums.frame.n_positions // TILE) * TILE
        assert sums.starts.min() >= 0
        assert sums.starts.max() + n_read <= sums.lanes.size


X, W = torch.zeros(2, 3, dtype=torch.uint8), torch.zeros(3, 4, dtype=torch.uint8)
IMAGE, KERNEL = torch.zeros(1, 4, 5, 5, dtype=torch.uint8), torch.zeros(6, 2, 3, 3).to(torch.uint8)
LARGEST = torch.full((256, 256), 65535, dtype=torch.uint16)


@pytest.mark.parametrize(
    ("x", "w", "lut", "message"),
    [
        (X.to(torch.int64), W, EXACT, r"x: must be uint8 \[M, K\].*not int64\[2, 3\]"),
        (X, W.to(torch.int8), EXACT, r"w: must be uint8 \[K, N\].*not int8\[3, 4\]"),
        (X[0], W, EXACT, r"x: must be .*not uint8\[3\]"),
        (X[:0], W, EXACT, r"x: must be .*none of them 0, not uint8\[0, 3\]"),
        (X, W[:2].contiguous(), EXACT, "w: must have the 3 rows that x needs, not 2"),
        (X.t().contiguous().t(), W, EXACT, r"x: must be contiguous, not of strides \[1, 2\]"),
        (X, W[:, ::2], EXACT, r"w: must be contiguous, not of strides \[4, 2\]"),
        (X, W, EXACT[:255], r"lut: must be uint16 \[256, 256\], not uint16\[255, 256\]"),
        (X, W, EXACT.to(torch.int32), r"lut: must be uint16 .*not int32"),
        (X, W, EXACT.t(), r"lut: must be contiguous, not of strides \[1, 256\]"),
        (X, W.to("meta"), EXACT, "w: must be on cpu like x, not on meta"),
        (X, W, EXACT.to("meta"), "lut: must be on cpu like x, not on meta"),
        (
            torch.zeros(1, 32769, dtype=torch.uint8),
            torch.zeros(32769, 1, dtype=torch.uint8),
            LARGEST,
            r"K: 32769 products of at most 65535 must stay below 2\^31, not 2147516415",
        ),
    ],
)
def test_bad_matrix_products(x, w, lut, message):
    with pytest.raises(InputError, match=f"^lut_matmul: {message}"):
        lut_matmul(x, w, lut)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": IMAGE[0]}, r"x: must be uint8 \[B, C, H, W\]"),
        ({"x": IMAGE.to(memory_format=torch.channels_last)}, "x: must be contiguous"),
        ({"w": KERNEL.float()}, r"w: must be uint8 .*not float32"),
        ({"groups": 3}, r"x: must have a multiple of 3 channels \(groups\), not 4"),
        ({"groups": 4}, r"w: must have a multiple of 4 channels \(groups\), not 6"),
        ({"groups": 1}, "w: must have 4 channels per group, not 2"),
        ({"groups": 0}, r"groups: must be 1 integer\(s\) of at least 1, not \(0,\)"),
        ({"stride": (0, 1)}, r"stride: must be 2 integer\(s\) of at least 1, not \(0, 1\)"),
        ({"stride": 1}, "stride: must be 2 integer"),
        ({"dilation": (1, 1, 1)}, "dilation: must be 2 integer"),
        ({"dilation": (3, 1)}, r"w: must fit into the padded x, not \[6, 2, 3, 3\]"),
        ({"padding": (1, 1)}, "padding: must be 4 integer"),
        ({"padding": (0, 0, -1, 0)}, "padding: must be 4 integer"),
        ({"padding_code": 256}, "padding_code: must be at most 255, not 256"),
        ({"padding_code": -1}, "padding_code: must be 1 integer"),
        ({"padding_code": 1.0}, "padding_code: must be 1 integer"),
        ({"lut": EXACT.to(torch.int16)}, "lut: must be uint16"),
    ],
)
def test_bad_convolutions(changes, message):
    arguments = {"x": IMAGE, "w": KERNEL, "lut": EXACT, "groups": 2} | changes
    with pytest.raises(InputError, match=f"^lut_conv2d: {message}"):
        lut_conv2d(**arguments)


def test_the_fastest_path_is_taken(monkeypatch):
    seconds = dict.fromkeys(PATHS, 2.0) | {KernelPath.DIRECT: 1.0}
    monkeypatch.setattr(planner, "_predict", lambda path, shape, lut: seconds.get(path.name))
    candidates = explain(ANY_SHAPE, ANY_TABLE)
    assert candidates[0].path is KernelPath.DIRECT
    assert candidates[0].gproducts_per_s == pytest.approx(24e-9)
    assert {candidate.path for candidate in candidates} == {path.name for path in registered()}
    assert all("ms" in str(candidate) for candidate in candidates[: len(PATHS)])


def test_low_rank_serves_tables_of_low_rank_only():
    rng = np.random.default_rng(3)
    low = EXACT.clone()
    low[:, 0] = 7
    shapes = codes(rng, 2, 4, 9, 8), codes(rng, 5, 4, 3, 2)
    x, w = map(torch.from_numpy, shapes)
    for lut in (EXACT, low):
        out = lut_conv2d(x, w, lut, stride=(2, 1), padding=(1, 0, 2, 1), path="low_rank")
        assert torch.equal(
            out, lut_conv2d(x, w, lut, stride=(2, 1), padding=(1, 0, 2, 1), path="direct")
        )
        product = lut_matmul(X + 200, W + 9, lut, path="low_rank")
        assert torch.equal(product, lut_matmul(X + 200, W + 9, lut, path="direct"))
    with pytest.raises(InputError, match=r"^path: low_rank: .*rank 1..8 on cpu, not 256"):
        lut_matmul(X, W, ANY_TABLE, path="low_rank")
    with pytest.raises(InputError, match="needs one group"):
        lut_conv2d(IMAGE, KERNEL, EXACT, groups=2, path="low_rank")
    low[3, 4] = 13  # the tensor is another table now
    product = lut_matmul(X + 3, W + 4, low, path="low_rank")
    assert torch.equal(product, torch.full((2, 4), 39, dtype=torch.int32))


def test_choices_depend_on_what_a_path_reads_of_the_table(monkeypatch):
    monkeypatch.setattr(planner, "_choices", {})
    planner.choose(ANY_SHAPE, EXACT, None)
    planner.choose(ANY_SHAPE, EXACT.clone(), None)
    assert len(planner._choices) == 1
    planner.choose(ANY_SHAPE, ANY_TABLE, None)
    assert len(planner._choices) == 2


def test_the_oracle_is_the_last_resort():
    ranked = [candidate.path for candidate in explain(ANY_SHAPE, ANY_TABLE)]
    assert ranked.index(KernelPath.GATHER) == len(PATHS) - 1


def test_a_path_can_be_asked_for(monkeypatch, caplog):
    monkeypatch.setenv(VARIABLE, "direct")
    assert planner.choose(ANY_SHAPE, EXACT, None).name is KernelPath.DIRECT
    assert planner.choose(ANY_SHAPE, EXACT, "row_table").name is KernelPath.ROW_TABLE
    monkeypatch.setenv(VARIABLE, "fast")
    with pytest.raises(InputError, match=r"^QOSNETS_KERNEL: must be one of gather, .*not 'fast'"):
        lut_matmul(X, W, EXACT)
    with pytest.raises(InputError, match=r"^path: must be one of gather, .*not 'fast'"):
        lut_matmul(X, W, EXACT, path="fast")


def test_a_path_that_cannot_be_used(monkeypatch, caplog):
    monkeypatch.setattr(paths, "has_byte_permute", lambda: False)
    with pytest.raises(InputError, match=r"^path: permute: .*needs a processor with AVX-512 VBMI"):
        lut_matmul(X, W, EXACT, path="permute")
    monkeypatch.setenv(VARIABLE, "permute")
    with caplog.at_level(logging.WARNING):
        assert planner.choose(MatmulShape(5, 6, 7), EXACT, None).name is not KernelPath.PERMUTE
    assert "permute cannot be used for linear 5x6x7: needs a processor" in caplog.text


def test_the_slow_path_gives_its_reason(caplog):
    elsewhere = EXACT.to("meta")
    with caplog.at_level(logging.WARNING):
        assert planner.choose(MatmulShape(8, 7, 6), elsewhere, None).name is KernelPath.GATHER
    assert "linear 8x7x6: on the slow path gather, for" in caplog.text
    assert "direct: needs operands on the CPU, not on meta" in caplog.text


def test_measurements_are_kept(monkeypatch, tmp_path):
    direct = paths.path_named(KernelPath.DIRECT)
    monkeypatch.setattr(calibration, "cache_home", lambda: tmp_path)
    monkeypatch.setattr(calibration, "_measure", lambda path, device: [1.0, 2.0])
    for _ in range(2):
        calibration._costs.cache_clear()
        assert calibration.seconds_per_work(direct, torch.device("cpu")) == (1.0, 2.0)
        monkeypatch.setattr(calibration, "_measure", None)
    (file,) = (tmp_path / "kernels").iterdir()
    file.write_text("{")
    calibration._costs.cache_clear()
    monkeypatch.setattr(calibration, "_measure", lambda path, device: [3.0])
    assert calibration.seconds_per_work(direct, torch.device("cpu")) == (3.0,)
    calibration._costs.cache_clear()


def test_shapes_say_what_they_are():
    shape = ConvShape(
        batch=2,
        in_channels=6,
        size=(8, 9),
        out_channels=4,
        kernel=(3, 2),
        stride=(2, 1),
        padding=(1, 0, 0, 1),
        padding_code=0,
        dilation=(1, 2),
        groups=2,
    )
    assert str(shape) == "conv 6->4 3x2 on 2x8x9 groups 2"
    assert shape.output_size == (4, 8)
    assert shape.n_products == 2 * 4 * 32 * 18
