"""Access to the registers of an accelerator over AXI4-Lite."""

from collections.abc import Mapping, Sequence

import numpy as np

from .streams import StreamPlayer
from .words import Write

__all__ = ["RefusedError", "Registers"]

_ALL_BYTES = 0xF
_WRITE = np.dtype([("data", "<u4"), ("strobes", "u1")])
_READ = np.dtype([("data", "<u4"), ("response", "u1")])
_OKAY = 0


class RefusedError(Exception):
    """A register access was answered with an error."""


class Registers:
    """Manager of an AXI4-Lite interface.

    Addresses, data and responses are streams of their own, so accesses follow each other without
    waiting for their responses.

    Parameters
    ----------
    player
        Has the channels, ``s_axi_aw`` and so on.
    offsets
        Byte offset of each register by name.
    """

    def __init__(self, player: StreamPlayer, offsets: Mapping[str, int]):
        self._player = player
        self._offsets = offsets
        self._written: Sequence[Write] = ()

    responses = "s_axi_b"
    """Stream that ends with the response to the last write."""

    def start_writing(self, writes: Sequence[Write]) -> None:
        """Begin to write registers one after the other."""
        self._written = writes
        data = np.array([(word, _ALL_BYTES) for _, word in writes], _WRITE)
        self._player["s_axi_aw"].send(self._addresses([name for name, _ in writes]))
        self._player["s_axi_w"].send(data.view(np.uint8).reshape(len(writes), -1))
        self._player["s_axi_b"].receive(len(writes))

    def refused(self) -> list[str]:
        """Return the registers that refused what was written last."""
        answers = self._player["s_axi_b"].received[:, 0]
        return [name for (name, _), a in zip(self._written, answers, strict=True) if a != _OKAY]

    def check(self) -> None:
        """Raise :class:`RefusedError` if something of what was written last was refused."""
        if refused := self.refused():
            raise RefusedError(f"{', '.join(refused)}: write refused")

    async def try_write(self, *writes: Write) -> bool:
        """Write registers one after the other; returns whether all accepted it."""
        self.start_writing(writes)
        await self._player.finish(self.responses)
        return not self.refused()

    async def write(self, *writes: Write) -> None:
        """Write registers one after the other.

        Raises
        ------
        RefusedError
            If a write is answered with an error.
        """
        await self.try_write(*writes)
        self.check()

    async def read(self, *names: str) -> list[int]:
        """Read registers one after the other.

        Raises
        ------
        RefusedError
            If a read is answered with an error.
        """
        self._player["s_axi_r"].receive(len(names))
        self._player["s_axi_ar"].send(self._addresses(names))
        await self._player.finish("s_axi_r")
        answers = self._player["s_axi_r"].received.copy().view(_READ)[:, 0]
        if refused := [n for n, a in zip(names, answers["response"], strict=True) if a != _OKAY]:
            raise RefusedError(f"{', '.join(refused)}: read refused")
        return [int(word) for word in answers["data"]]

    def _addresses(self, names: Sequence[str]) -> np.ndarray:
        offsets = np.array([self._offsets[name] for name in names], "<u2")
        return offsets.view(np.uint8).reshape(len(names), -1)
