# amaranth: UnusedElaboratable=no
"""The accelerator: the array behind AXI4-Lite registers and AXI4-Streams."""

from amaranth.hdl import ClockDomain, ClockSignal, Module, ResetSignal, Shape, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from .block import Block
from .config import ArrayConfig
from .job_queue import JobQueue
from .layouts import point_shape
from .parameter_reader import RECORD_LAYOUT, ParameterReader
from .registers.axi_lite import AxiLiteSignature
from .registers.counters import EventCounters
from .registers.point_source import PointSource
from .registers.register_block import RegisterBlock
from .registers.register_map import RegisterMap

__all__ = ["Accelerator", "build_accelerator"]

ADDR_WIDTH = 12
COUNTED = ("cycles", "stall_activations", "stall_weights", "stall_results")
"""Counters of 64 bits; the register map has the halves of each."""


def build_accelerator(
    config: ArrayConfig, array: wiring.Component, register_map: RegisterMap
) -> list[wiring.Component]:
    """Return the components around ``array`` that become Verilog modules, the top last.

    Parameters
    ----------
    config
        What ``array`` was built from.
    array
        The core.
    register_map
        Made from ``config``.
    """
    width = point_shape(config).width
    parts = {
        "registers": RegisterBlock(register_map=register_map, addr_width=ADDR_WIDTH),
        "counters": EventCounters(events=COUNTED),
        "point_source": PointSource(pins_width=width, point_width=width),
        "job_queue": JobQueue(config=config),
        "parameter_reader": ParameterReader(config=config),
    }
    return [*parts.values(), Accelerator(config=config, array=array, **parts)]


class Accelerator(wiring.Component):
    """The top of a generated design.

    Every stream has full back-pressure, and no output depends on an input of the same cycle. What
    the registers do and when is stated in the register map.

    Parameters
    ----------
    config : :class:`ArrayConfig`
    array, registers, counters, point_source, job_queue, parameter_reader
        The components that it consists of, made from ``config``.

    Members
    -------
    aclk, aresetn : ``In(1)``
        Clock, and its synchronous reset, active low.
    irq : ``Out(1)``
        Interrupt, a level.
    point_pins : ``In``
        Operating point asked for from outside, see :class:`.PointSource`; any clock.
    s_axi_*
        AXI4-Lite, 32 bits of data: the registers.
    s_axis_weights_*, s_axis_activations_*
        AXI4-Stream, a byte for each column and row, the first in the least significant byte;
        ``tlast`` marks the last beat of a job.
    s_axis_parameters_*
        AXI4-Stream, one record of 16 bytes a beat.
    m_axis_results_*
        AXI4-Stream, a byte for each column; ``tlast`` marks the last beat of a job, ``tuser`` is
        the operating point that it was computed at.

    Raises
    ------
    ValueError
        If the array has no port for a stream of ``config``'s size.
    """

    module_name = "qosnets_accelerator"

    def __init__(
        self,
        *,
        config: ArrayConfig,
        array: wiring.Component,
        registers: RegisterBlock,
        counters: EventCounters,
        point_source: PointSource,
        job_queue: JobQueue,
        parameter_reader: ParameterReader,
    ):
        for name, lanes in (("weights", config.cols), ("activations", config.rows)):
            width = getattr(array, name).payload.codes.shape().size
            if width != 8 * lanes:
                raise ValueError(f"Array must have {8 * lanes} bits of {name}, not {width}")
        self._array, self._registers, self._counters = array, registers, counters
        self._point_source, self._job_queue = point_source, job_queue
        self._parameter_reader = parameter_reader
        super().__init__(
            {
                "aclk": In(1),
                "aresetn": In(1),
                "irq": Out(1),
                "point_pins": In(point_shape(config)),
                **_axi_lite_ports(),
                **_stream_ports(In, "s_axis_weights", tdata=8 * config.cols, tlast=1),
                **_stream_ports(In, "s_axis_activations", tdata=8 * config.rows, tlast=1),
                **_stream_ports(In, "s_axis_parameters", tdata=RECORD_LAYOUT.size),
                **_stream_ports(Out, "m_axis_results", tdata=8 * config.cols, tlast=1, tuser=8),
            }
        )

    def elaborate(self, platform):
        """Return the blocks and their connections."""
        m = Module()
        m.domains.sync = ClockDomain("sync", local=True)
        m.d.comb += [ClockSignal().eq(self.aclk), ResetSignal().eq(~self.aresetn)]
        m.submodules.array = array = Block(self._array)
        m.submodules.registers = registers = Block(self._registers)
        m.submodules.counters = counters = Block(self._counters)
        m.submodules.point_source = points = Block(self._point_source)
        m.submodules.job_queue = queue = Block(self._job_queue)
        m.submodules.parameter_reader = parameters = Block(self._parameter_reader)

        self._connect_registers(m, registers)
        self._connect_streams(m, array, parameters)
        connect(m, parameters.writes, array.parameter_writes)
        connect(m, queue.jobs, array.jobs)
        soft_reset = registers.control.soft_reset
        m.d.comb += [
            array.soft_reset.eq(soft_reset),
            queue.drain.eq(soft_reset),
            parameters.drain.eq(soft_reset),
            queue.job.layer.eq(registers.job_layer.layer),
            queue.job.positions.eq(registers.job_positions.positions),
            queue.job.tile_offset.eq(registers.job_tile_offset.tile_offset),
            queue.job.last.eq(registers.job_start.last),
            queue.push.eq(registers.job_start.last_written),
            registers.job_queue.free.eq(queue.free),
            registers.job_queue.full.eq(queue.full),
            points.pins.eq(self.point_pins),
            points.pins_enable.eq(registers.point_pins.enable),
            points.hold_cycles.eq(registers.point_hold.cycles),
            points.register_point.eq(registers.point_request.point),
            points.register_written.eq(registers.point_request.point_written),
            array.point_request.eq(points.point),
            array.point_write.eq(points.write),
        ]
        self._write_layers(m, array, registers)
        self._report(m, array, parameters, registers)
        self._count(m, array, counters, registers)
        return m

    def _connect_registers(self, m: Module, registers):
        m.d.comb += self.irq.eq(registers.irq)
        for path, member, value in registers.axi.signature.flatten(registers.axi):
            port = getattr(self, f"s_axi_{''.join(path)}")
            m.d.comb += value.eq(port) if member.flow is In else port.eq(value)

    def _connect_streams(self, m: Module, array, parameters):
        """Connect AXI4-Streams; the sides differ in the names only."""
        for name in ("weights", "activations"):
            beats = getattr(array, name)
            m.d.comb += beats.payload.codes.eq(getattr(self, f"s_axis_{name}_tdata"))
            m.d.comb += beats.payload.last.eq(getattr(self, f"s_axis_{name}_tlast"))
            self._shake_hands(m, f"s_axis_{name}", beats)
        m.d.comb += parameters.records.payload.eq(self.s_axis_parameters_tdata)
        self._shake_hands(m, "s_axis_parameters", parameters.records)
        results = array.results
        m.d.comb += [
            self.m_axis_results_tvalid.eq(results.valid),
            results.ready.eq(self.m_axis_results_tready),
            self.m_axis_results_tdata.eq(results.payload.out),
            self.m_axis_results_tlast.eq(results.payload.last),
            self.m_axis_results_tuser.eq(results.payload.point),
        ]

    def _shake_hands(self, m: Module, prefix: str, beats):
        m.d.comb += beats.valid.eq(getattr(self, f"{prefix}_tvalid"))
        m.d.comb += getattr(self, f"{prefix}_tready").eq(beats.ready)

    def _write_layers(self, m: Module, array, registers):
        entry = array.layer_writes.payload.entry
        m.d.comb += [
            array.layer_writes.valid.eq(registers.layer_write.layer_written),
            array.layer_writes.payload.layer.eq(registers.layer_write.layer),
        ]
        own = {
            "k_tiles": registers.layer_k_tiles,
            "n_tiles": registers.layer_n_tiles,
            "base": registers.layer_base,
        }
        for name, _ in entry.shape():
            register = own.get(name, registers.layer_shape)
            m.d.comb += entry[name].eq(getattr(register, name))

    def _report(self, m: Module, array, parameters, registers):
        """Drive status, sticky bits and interrupts."""
        switches = Signal(32)
        result = Signal(8)
        with m.If(array.point_switched):
            m.d.sync += switches.eq(switches + 1)
        with m.If(array.results.valid & array.results.ready):
            m.d.sync += result.eq(array.results.payload.point)
        m.d.comb += [
            registers.status.busy.eq(array.busy),
            registers.status.switching.eq(array.point_active != array.point_pending),
            registers.status.faulted.eq(array.faulted),
            registers.status.wrong_point.eq(array.point_refused),
            registers.status.wrong_job.eq(array.job_refused),
            registers.status.wrong_table_write.eq(parameters.refused),
            registers.status.stream_short.eq(array.stream_short),
            registers.status.stream_long.eq(array.stream_long),
            registers.interrupt_pending.inference_done.eq(array.inference_done),
            registers.interrupt_pending.point_switched.eq(array.point_switched),
            registers.point_status.active.eq(array.point_active),
            registers.point_status.pending.eq(array.point_pending),
            registers.point_status.result.eq(result),
            registers.switches.count.eq(switches),
            registers.job_cycles.cycles.eq(array.job_cycles),
        ]

    def _count(self, m: Module, array, counters, registers):
        drained = array.soft_reset | array.faulted
        m.d.comb += [
            counters.counting.eq(registers.control.counting),
            counters.clear.eq(registers.control.clear_counters),
            counters.events.cycles.eq(array.busy),
            counters.events.stall_results.eq(array.results.valid & ~array.results.ready),
        ]
        for name in ("activations", "weights"):
            beats, event = getattr(array, name), getattr(counters.events, f"stall_{name}")
            m.d.comb += event.eq(beats.ready & ~beats.valid & ~drained)
        for name in COUNTED:
            count = getattr(counters.counts, name)
            m.d.comb += getattr(registers, f"{name}_lo").value.eq(count[:32])
            m.d.comb += getattr(registers, f"{name}_hi").value.eq(count[32:])


def _axi_lite_ports() -> dict[str, wiring.Member]:
    members = AxiLiteSignature(ADDR_WIDTH).flip().members
    return {
        f"s_axi_{''.join(path)}": member.flow(Shape.cast(member.shape))
        for path, member in members.flatten()
        if member.is_port
    }


def _stream_ports(flow: wiring.Flow, prefix: str, **payload: int) -> dict[str, wiring.Member]:
    """Return the ports of an AXI4-Stream; ``payload`` has the widths of its signals."""
    ports = {f"{prefix}_{name}": flow(width) for name, width in payload.items()}
    return {
        **ports,
        f"{prefix}_tvalid": flow(1),
        f"{prefix}_tready": flow.flip()(1),
    }
