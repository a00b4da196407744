"""The Triton path against the oracle: on a CUDA device, or else in Triton's interpreter."""

import inspect
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from qosnets_search.kernels import ConvShape, MatmulShape, triton_lut
from qosnets_search.kernels.gather import run_gather
from qosnets_search.kernels.shapes import Shape
from qosnets_search.kernels.triton_lut import run_triton, triton_obstacle, triton_work

# Triton announces a change of its defaults for floating point, which no kernel here uses.
pytestmark = pytest.mark.filterwarnings("ignore:TRITON_DEFAULT_FP_FUSION")


@pytest.fixture(scope="module")
def device() -> Iterator[torch.device]:
    pytest.importorskip("triton")
    with pytest.MonkeyPatch.context() as patch:
        if not torch.cuda.is_available():
            patch.setenv("TRITON_INTERPRET", "1")
        triton_lut._kernel.cache_clear()
        yield torch.device("cuda" if torch.cuda.is_available() else "cpu")
    triton_lut._kernel.cache_clear()


def conv(
    batch: int,
    channels: tuple[int, int],
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    padding_code: int = 0,
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> ConvShape:
    return ConvShape(
        batch=batch,
        in_channels=channels[0],
        size=size,
        out_channels=channels[1],
        kernel=kernel,
        stride=stride,
        padding=padding,
        padding_code=padding_code,
        dilation=dilation,
        groups=groups,
    )


SHAPES = [
    MatmulShape(1, 1, 1),
    MatmulShape(1, 33, 70),
    MatmulShape(70, 5, 1),
    MatmulShape(32, 16, 64),
    MatmulShape(33, 40, 130),
    MatmulShape(3, 600, 2),
    conv(1, (1, 1), (1, 1), (1, 1)),
    conv(2, (3, 5), (6, 7), (3, 3), padding=(1, 1, 1, 1)),
    conv(2, (3, 65), (5, 4), (3, 2), padding=(2, 0, 1, 3), padding_code=255),
    conv(3, (4, 6), (9, 8), (3, 3), stride=(2, 3), padding_code=7),
    conv(1, (2, 3), (9, 11), (2, 3), dilation=(3, 2), padding=(1, 1, 1, 1), padding_code=128),
    conv(2, (6, 9), (7, 9), (3, 2), (2, 1), (1, 2, 0, 3), 77, (1, 2), groups=3),
    conv(2, (5, 5), (6, 6), (3, 3), padding=(1, 1, 1, 1), padding_code=3, groups=5),
    conv(2, (3, 6), (6, 5), (3, 3), stride=(2, 2), groups=3),
    conv(1, (1, 1), (50, 50), (2, 2)),
]


def operand_sizes(shape: Shape) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if isinstance(shape, MatmulShape):
        return (shape.n_rows, shape.reduction), (shape.reduction, shape.n_columns)
    channels = shape.in_channels // shape.groups
    return (
        (shape.batch, shape.in_channels, *shape.size),
        (shape.out_channels, channels, *shape.kernel),
    )


def assert_exact(
    shape: Shape, device: torch.device, rng: np.random.Generator, table: torch.Tensor
) -> None:
    x, w = (
        torch.from_numpy(rng.integers(0, 256, size, dtype=np.uint8)).to(device)
        for size in operand_sizes(shape)
    )
    found = run_triton(shape, x, w, table.to(device))
    expected = run_gather(shape, x, w, table.to(device))
    assert found.dtype == torch.int32 and found.device == x.device and found.is_contiguous()
    assert torch.equal(found, expected)


def random_table(rng: np.random.Generator) -> torch.Tensor:
    """Return a table that is not commutative, with all 16 bits in use."""
    return torch.from_numpy(rng.integers(0, 2**16, (256, 256), dtype=np.uint16))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sums_are_those_of_the_oracle(shape: Shape, device: torch.device) -> None:
    rng = np.random.default_rng(shape.n_products)
    assert_exact(shape, device, rng, random_table(rng))


@pytest.mark.parametrize("seed", range(20))
def test_random_convolutions(seed: int, device: torch.device) -> None:
    rng = np.random.default_rng(seed)

    def pick(least: int, most: int, n: int) -> tuple[int, ...]:
        return tuple(int(value) for value in rng.integers(least, most + 1, n))

    (groups,) = pick(1, 4, 1)
    inputs, outputs = pick(1, 3, 2)
    shape = ConvShape(
        batch=pick(1, 3, 1)[0],
        in_channels=groups * inputs,
        size=pick(7, 12, 2),
        out_channels=groups * outputs,
        kernel=pick(1, 3, 2),
        stride=pick(1, 3, 2),
        padding=pick(0, 2, 4),
        padding_code=pick(0, 255, 1)[0],
        dilation=pick(1, 3, 2),
        groups=groups,
    )
    assert_exact(shape, device, rng, random_table(rng))


def test_largest_entries_do_not_wrap(device: torch.device) -> None:
    table = torch.full((256, 256), 65535, dtype=torch.uint16)
    assert_exact(MatmulShape(2, 600, 3), device, np.random.default_rng(0), table)


PIXELS = (
    "n_groups kernel_height kernel_width positions_per_image positions_per_row plane_step "
    "down across tap_down tap_across"
)


@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize(
    ("ones", "large", "tile", "lanes"),
    [
        ("across tap_across n_groups", "", (32, 64), "[1, 32]"),
        (PIXELS, "", (32, 64), "[1, 32]"),
        (PIXELS + " n_positions n_columns n_channels image_step", "", (1, 1), "[32, 1]"),
        ("across tap_across n_channels n_columns", "", (2048, 1), "[32, 1]"),
        ("across tap_across", "n_positions image_step plane_step", (128, 16), "[2, 16]"),
    ],
    ids=["convolution", "matmul", "one product", "depthwise", "large"],
)
def test_compiles_without_a_gpu(
    ones: str,
    large: str,
    tile: tuple[int, int],
    lanes: str,
    capability: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Triton makes arguments that are 1 part of the program, and large ones 64 bits wide."""
    pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    triton_lut._kernel.cache_clear()
    kernel = triton_lut._kernel()
    triton_lut._kernel.cache_clear()
    names = list(inspect.signature(kernel.fn).parameters)
    constants = {"rows": tile[0], "columns": tile[1]} | dict.fromkeys(ones.split(), 1)
    types = dict.fromkeys(names, "i32") | dict.fromkeys(large.split(), "i64")
    types |= {"x": "*u8", "w": "*u8", "lut": "*u16", "out": "*i32"}
    types |= dict.fromkeys(constants, "constexpr")
    values = {(names.index(name),): value for name, value in constants.items()}
    compiled = compile(ASTSource(kernel, types, values), target=GPUTarget("cuda", capability, 32))
    assert f".target sm_{capability}" in compiled.asm["ptx"]
    # What the lanes of a warp share: a code of x where columns suffice, hence a row of the table.
    assert f"threadsPerWarp = {lanes}" in compiled.asm["ttgir"]


@pytest.mark.parametrize(
    ("device_name", "package", "obstacle"),
    [
        ("cpu", object(), "needs operands on a CUDA device, not on cpu"),
        ("cpu", None, "needs operands on a CUDA device, not on cpu"),
        ("cuda", None, "needs the package triton"),
        ("cuda:1", object(), None),
    ],
)
def test_obstacle(
    device_name: str, package: object, obstacle: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triton_lut, "find_spec", lambda _name: package)
    assert triton_obstacle(torch.device(device_name)) == obstacle


@pytest.mark.parametrize(
    ("shape", "entries"),
    [
        (MatmulShape(32, 10, 64), 32 * 10 * 64),
        (MatmulShape(33, 10, 65), 64 * 10 * 128),
        (conv(1, (3, 3), (4, 4), (3, 3), padding=(1, 1, 1, 1), groups=3), 16 * 9 * 3),
        (conv(2, (4, 48), (8, 8), (1, 1)), 128 * 4 * 64),
    ],
    ids=str,
)
def test_work_counts_unused_lanes(shape: Shape, entries: int) -> None:
    assert triton_work(shape) == (1.0, float(entries))
