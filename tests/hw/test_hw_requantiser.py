"""Requantiser against the golden model, bit for bit, with stalls."""

import numpy as np
import pytest
from amaranth.hdl import unsigned
from amaranth.sim import Simulator
from qosnets.golden import requantise
from qosnets.parameters import Requantisation
from qosnets_hw.requantiser import Requantiser

N = 800
PRODUCTS_WIDTH, ACTIVATIONS_WIDTH = 32, 20
INT32 = np.iinfo(np.int32)


def mixed(rng, low, high, extremes):
    """Return values of all sizes in ``low..high``, a third of them extreme."""
    values = rng.integers(low, high + 1, N) >> rng.integers(0, 32, N)
    return np.where(rng.random(N) < 0.3, rng.choice(extremes, N), np.maximum(values, low))


def stimulus() -> dict[str, np.ndarray]:
    """Return inputs: one half random and extreme, one half with sums that the clamp lets pass."""
    rng = np.random.default_rng(1)
    products_max, activations_max = 2**PRODUCTS_WIDTH - 1, 2**ACTIVATIONS_WIDTH - 1
    x = {
        "products": mixed(rng, 0, products_max, [0, products_max, 2**31]),
        "activations": mixed(rng, 0, activations_max, [0, activations_max]),
        "bias": mixed(rng, INT32.min, INT32.max, [INT32.min, INT32.max, 0, -1]),
        "weight_zero_point": mixed(rng, 0, 255, [0, 255]),
        "mult": rng.choice([-1, 1], N) * mixed(rng, 2**14, 2**15 - 1, [2**14, 2**15 - 1]),
        "shift": mixed(rng, 1, 47, [1, 2, 47]),
        "offset": mixed(rng, -(2**15), 2**15 - 1, [-(2**15), 2**15 - 1, 0, 128]),
    }
    x["mult"][::16], x["mult"][1::16] = 0, -(2**15)
    # Half the accumulators are chosen for a code near the clamp, by a bias that may wrap.
    near = np.arange(N) % 2 == 1
    x["shift"][near] = rng.integers(15, 44, near.sum())
    x["offset"][near] = rng.integers(-20, 280, near.sum())
    scaled = rng.uniform(-300, 300, N) * 2.0 ** x["shift"]
    target = np.rint(scaled / np.where(near, x["mult"], 1)).clip(INT32.min, INT32.max)
    ties = np.arange(N) % 8 == 3
    x["mult"][ties] = 2**14
    odd = 2 * rng.integers(-100, 100, N) + 1
    target = np.where(ties, odd << np.maximum(x["shift"] - 15, 0), target.astype(np.int64))
    without = x["products"] - x["weight_zero_point"] * x["activations"]
    x["bias"] = np.where(near, (target - without).astype(np.int32), x["bias"])
    return x


def reference(x: dict[str, np.ndarray], clamp: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    acc = (x["products"] - x["weight_zero_point"] * x["activations"] + x["bias"]).astype(np.int32)
    values = Requantisation(
        x["bias"].astype(np.int32),
        x["mult"].astype(np.int16),
        x["shift"].astype(np.uint8),
        x["offset"].astype(np.int16),
    )
    return acc, requantise(acc[None], values, clamp)[0]


def rtl(x, clamp, enables) -> tuple[list[int], list[int]]:
    """Return what leaves ``LATENCY`` enabled cycles after each input."""
    dut = Requantiser(
        products_shape=unsigned(PRODUCTS_WIDTH), activations_shape=unsigned(ACTIVATIONS_WIDTH)
    )
    acc, out = [], []

    async def bench(ctx):
        ctx.set(dut.clamp_low, clamp[0])
        ctx.set(dut.clamp_high, clamp[1])
        n_enabled = 0
        for cycle in range(100_000):
            enable = enables(cycle)
            # While the pipeline stands still, an input must not matter.
            index = n_enabled % N if enable else cycle % N
            ctx.set(dut.enable, enable)
            ctx.set(dut.products, int(x["products"][index]))
            ctx.set(dut.activations, int(x["activations"][index]))
            fields = ("bias", "weight_zero_point", "mult", "shift", "offset")
            ctx.set(dut.parameters, {field: int(x[field][index]) for field in fields})
            await ctx.tick()
            n_enabled += enable
            if enable and n_enabled >= dut.LATENCY:
                acc.append(ctx.get(dut.acc))
                out.append(ctx.get(dut.out))
            if len(acc) == N:
                return
            if acc:
                assert (ctx.get(dut.acc), ctx.get(dut.out)) == (acc[-1], out[-1])

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return acc, out


RANDOM = np.random.default_rng(3).random(100_000) < 0.6


@pytest.mark.parametrize(
    ("clamp", "enables"),
    [
        ((0, 255), lambda cycle: True),
        ((0, 255), lambda cycle: bool(RANDOM[cycle])),
        ((17, 200), lambda cycle: cycle % 3 == 2),
        ((128, 128), lambda cycle: True),
    ],
    ids=["full rate", "random stalls", "one of three", "one code"],
)
def test_requantiser_equals_golden_model(clamp, enables):
    x = stimulus()
    expected_acc, expected_out = reference(x, clamp)
    acc, out = rtl(x, clamp, enables)
    assert acc == expected_acc.tolist()
    assert out == expected_out.tolist()


def test_the_stimulus_reaches_every_case():
    x = stimulus()
    acc, out = reference(x, (0, 255))
    exact = x["products"] - x["weight_zero_point"] * x["activations"] + x["bias"]
    assert (acc != exact).any()  # wraps
    assert set(x["shift"].tolist()) >= {1, 2, 47}
    assert {0, -(2**15), 2**14, -(2**14)} <= set(x["mult"].tolist())
    assert {0, 255} <= set(out.tolist()) and len(set(out.tolist())) > 150
    ties = (acc.astype(np.int64) * x["mult"]) % (1 << x["shift"]) == 1 << (x["shift"] - 1)
    assert {-1, 1} <= set(np.sign(acc[ties]).tolist())
