"""The Verilog module around a design in which its streams are joined to the stream player."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

__all__ = [
    "ACTIVITY_FILE",
    "CORE_RESULTS",
    "HARNESS",
    "STREAM_PLAYER",
    "Harness",
    "Role",
    "StreamPort",
]

HARNESS = "qosnets_bench"
"""Name of the module."""

STREAM_PLAYER = Path(__file__).parent / "cpp" / "stream_player.cpp"
"""What the module imports."""
ACTIVITY_FILE = "activity.saif"
CORE = "dut.array"
"""The array within the harness."""
CORE_RESULTS = "core_results"
"""Stream of the array's results, which have the raw accumulators that the accelerator drops."""

_WORD = 32
_OFFERED_WORDS, _SAMPLED_WORDS = 2, 1
"""Words before the payloads in what the player gives and takes."""


class Role(IntEnum):
    """What the bench is at a stream."""

    SOURCE = 0
    SINK = 1
    MONITOR = 2
    """It only listens."""


@dataclass(frozen=True)
class StreamPort:
    """A stream of a design."""

    name: str
    role: Role
    valid: str
    """Signal in the scope of the design."""
    ready: str
    fields: tuple[tuple[str, int], ...]
    """Signals of the payload and their widths, from the lowest bit of a record up."""
    word: int
    """Where its payload begins in what passes between harness and player."""

    @property
    def signals(self) -> tuple[str, ...]:
        """All signals of the stream."""
        return (self.valid, self.ready, *(name for name, _ in self.fields))

    @property
    def handshake(self) -> str:
        """What the player has to know: the other side of the handshake, or both of it."""
        sides = {Role.SOURCE: self.ready, Role.SINK: self.valid}
        return sides.get(self.role, f"{self.valid} & {self.ready}")

    @property
    def width(self) -> int:
        """Bits of a record."""
        return sum(width for _, width in self.fields)

    @property
    def bytes(self) -> int:
        """Bytes of a record."""
        return -(-self.width // 8)

    @property
    def words(self) -> int:
        """Words of a record."""
        return -(-self.width // _WORD)


@dataclass(frozen=True)
class Harness:
    """The harness of a design.

    Its ports are those of the design that belong to no stream, ``stream_player`` (address of the
    player's state), ``stream_event`` (changes when a wait of the bench has ended) and
    ``record_activity`` (toggles are counted while it is 1, in a model built for that).
    """

    module: str
    """Module of the design; its instance is called ``dut``."""
    ports: Mapping[str, Mapping[str, Any]]
    """Ports of the design."""
    streams: tuple[StreamPort, ...]

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> "Harness":
        """Return the harness of a generated design."""
        top, array = manifest["top"], manifest["array"]
        return cls(top["module"], top["ports"], tuple(_streams(top["ports"], array["ports"])))

    @property
    def scalars(self) -> dict[str, Mapping[str, Any]]:
        """Ports of the design that belong to no stream."""
        taken = {signal for stream in self.streams for signal in stream.signals}
        return {name: port for name, port in self.ports.items() if name not in taken}

    def files(self) -> dict[str, str]:
        """Return the SystemVerilog by file name; it imports from :data:`STREAM_PLAYER`."""
        return {f"{HARNESS}.sv": self.verilog()}

    def verilog(self) -> str:
        """Return the text of the module."""
        scalars = self.scalars
        outer = [f"{port['direction']} {_range(port)} {name}" for name, port in scalars.items()]
        inner = [f"wire {_range(p)} {n};" for n, p in self.ports.items() if n not in scalars]
        sources = [stream for stream in self.streams if stream.role is Role.SOURCE]
        others = [stream for stream in self.streams if stream.role is not Role.SOURCE]
        return _TEXT.format(
            name=HARNESS,
            activity=ACTIVITY_FILE,
            ports=",\n  ".join(outer),
            wires="\n  ".join(inner),
            drives="\n  ".join(self._drives()),
            n_sampled=_WORD * (_SAMPLED_WORDS + sum(stream.words for stream in others)),
            n_offered=_WORD * (_OFFERED_WORDS + sum(stream.words for stream in sources)),
            handshakes=", ".join(reversed(self._handshakes())),
            payloads=",\n    ".join(_padded(stream) for stream in reversed(others)),
            module=self.module,
            connections=",\n    ".join(f".{name}({name})" for name in self.ports),
        )

    def _drives(self) -> Iterator[str]:
        """Yield what the streams of the bench drive."""
        for index, stream in enumerate(self.streams):
            if stream.role is Role.SINK:
                yield f"assign {stream.ready} = offered[{index}];"
            elif stream.role is Role.SOURCE:
                fields = ", ".join(name for name, _ in reversed(stream.fields))
                payload = f"offered[{_WORD * stream.word} +: {stream.width}]"
                yield f"assign {stream.valid} = offered[{index}];"
                yield f"assign {{{fields}}} = {payload};"

    def _handshakes(self) -> list[str]:
        """Return a word of what the player has to know of each stream, lowest bit first."""
        bits = [stream.handshake for stream in self.streams]
        return bits + ["1'b0"] * (_WORD - len(bits))


_TEXT = """\
module {name}(
  {ports},
  input longint stream_player,
  output bit stream_event,
  input bit record_activity
);
  import "DPI-C" function void stream_player_step(
    input longint address,
    input bit [{n_sampled}-1:0] sampled,
    inout bit [{n_offered}-1:0] offered
  );
  bit [{n_offered}-1:0] offered, next;
  wire [{n_sampled}-1:0] sampled;
  {wires}
  {module} dut (
    {connections}
  );
  {drives}
  assign sampled = {{
    {payloads},
    {handshakes}
  }};
  assign stream_event = offered[32];
  always @(posedge aclk)
    if (stream_player != 0) begin
      next = offered;
      stream_player_step(stream_player, sampled, next);
      offered <= next;
    end
  always @(posedge record_activity) begin
    $dumpfile("{activity}");
    $dumpvars(0, dut);
  end
  always @(negedge record_activity) $dumpoff;
endmodule
"""


def _range(port: Mapping[str, Any]) -> str:
    return f"[{port['width'] - 1}:0]"


def _padded(stream: StreamPort) -> str:
    """Return the payload of a stream, padded to whole words."""
    fields = [name for name, _ in reversed(stream.fields)]
    padding = _WORD * stream.words - stream.width
    return ", ".join([f"{padding}'b0", *fields] if padding else fields)


def _streams(
    ports: Mapping[str, Mapping[str, Any]], array: Mapping[str, Mapping[str, Any]]
) -> Iterator[StreamPort]:
    """Yield the streams of an accelerator, and the results in its core with raw accumulators."""
    offered, sampled = _OFFERED_WORDS, _SAMPLED_WORDS
    for valid in (name for name in ports if name.endswith("valid")):
        prefix = valid.removesuffix("valid")
        role = Role.SOURCE if ports[valid]["direction"] == "input" else Role.SINK
        fields = tuple(
            (name, ports[name]["width"])
            for name in sorted(ports)
            if name.startswith(prefix) and name not in (valid, f"{prefix}ready")
        )
        name = prefix.removesuffix("_t").removeprefix("m_axis_").removeprefix("s_axis_")
        word = offered if role is Role.SOURCE else sampled
        stream = StreamPort(name, role, valid, f"{prefix}ready", fields, word)
        if role is Role.SOURCE:
            offered += stream.words
        else:
            sampled += stream.words
        yield stream
    signals = [f"{CORE}.results__{name}" for name in ("valid", "ready", "payload")]
    payload = ((signals[2], array["results__payload"]["width"]),)
    yield StreamPort(CORE_RESULTS, Role.MONITOR, signals[0], signals[1], payload, sampled)
