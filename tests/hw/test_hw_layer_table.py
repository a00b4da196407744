"""The layer table: entries, and which layers have one."""

import pytest
from amaranth.sim import Simulator
from qosnets_hw.config import ArrayConfig
from qosnets_hw.layer_table import LayerTable


@pytest.mark.parametrize("n_layers", [1, 3, 4])
def test_entries(n_layers):
    config = ArrayConfig(
        rows=3,
        cols=2,
        n_multipliers=1,
        max_product=65_025,
        k_max=40,
        psum_depth=5,
        n_tiles=20,
        assignments=((0,) * n_layers,),
    )
    dut = LayerTable(config=config)
    fields = [name for name, _ in dut.entry.shape()]

    def entry(layer: int, low: int) -> dict[str, int]:
        sizes = {"k_tiles": layer + 1, "last_rows": 2, "n_tiles": 3, "base": layer}
        return sizes | {"clamp_low": low, "clamp_high": 250}

    async def bench(ctx):
        written = {}
        for number, layer in enumerate([*range(n_layers - 1, -1, -1), 0]):
            for other in range(2 ** len(dut.layer)):
                ctx.set(dut.layer, other)
                assert ctx.get(dut.written) == (other in written)
                if other in written:
                    found = ctx.get(dut.entry)
                    assert {name: found[name] for name in fields} == written[other]
            written[layer] = entry(layer, number)
            ctx.set(dut.writes.payload, {"layer": layer, "entry": written[layer]})
            ctx.set(dut.writes.valid, 1)
            assert ctx.get(dut.writes.ready)
            await ctx.tick()
            ctx.set(dut.writes.valid, 0)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
