"""Requantiser against the golden model, bit for bit, with stalls."""

import numpy as np
import pytest
from amaranth.hdl import unsigned
from amaranth.sim import Simulator
from qosnets.golden import requantise
from qosnets.parameters import Requantisation
from qosnets_hw.requantiser import Requantiser

N = 300
PRODUCTS_WIDTH, ACTIVATIONS_WIDTH = 32, 20
INT32 = np.iinfo(np.int32)


def extremes_and_random(rng, low, high, n, extremes):
    values = rng.integers(low, high + 1, n)
    chosen = rng.random(n) < 0.3
    values[chosen] = rng.choice(extremes, chosen.sum())
    return values


def stimulus(rng: np.random.Generator) -> dict[str, np.ndarray]:
    sign = rng.choice([-1, 1], N)
    mult = sign * extremes_and_random(rng, 2**14, 2**15 - 1, N, [2**14, 2**15 - 1])
    mult[rng.random(N) < 0.1] = 0
    mult[rng.random(N) < 0.1] = -(2**15)
    return {
        "products": extremes_and_random(rng, 0, 2**PRODUCTS_WIDTH - 1, N, [0, 2**32 - 1, 2**31])
        >> rng.integers(0, 32, N),
        "activations": extremes_and_random(
            rng, 0, 2**ACTIVATIONS_WIDTH - 1, N, [0, 2**ACTIVATIONS_WIDTH - 1]
        )
        >> rng.integers(0, 20, N),
        "bias": extremes_and_random(rng, INT32.min, INT32.max, N, [INT32.min, INT32.max, 0, -1])
        >> rng.integers(0, 32, N),
        "weight_zero_point": extremes_and_random(rng, 0, 255, N, [0, 255]),
        "mult": mult,
        "shift": extremes_and_random(rng, 1, 47, N, [1, 2, 47]),
        "offset": extremes_and_random(rng, -(2**15), 2**15 - 1, N, [-(2**15), 2**15 - 1, 0, 128]),
    }


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
    x = stimulus(np.random.default_rng(1))
    expected_acc, expected_out = reference(x, clamp)
    acc, out = rtl(x, clamp, enables)
    assert acc == expected_acc.tolist()
    assert out == expected_out.tolist()


def test_the_stimulus_reaches_every_case():
    x = stimulus(np.random.default_rng(1))
    acc, out = reference(x, (0, 255))
    exact = x["products"] - x["weight_zero_point"] * x["activations"] + x["bias"]
    assert (acc != exact).any()  # wraps
    assert set(x["shift"]) >= {1, 2, 47}
    assert {0, -(2**15), 2**14, -(2**14)} <= set(x["mult"])
    assert 0 in out and 255 in out and len(set(out.tolist())) > 50
    ties = (acc.astype(np.int64) * x["mult"]) % (1 << x["shift"]) == 1 << (x["shift"] - 1)
    assert ties.any()
