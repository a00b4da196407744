"""Compilation of SystemRDL, with errors in the words of this project."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from qosnets.errors import InputError
from systemrdl import RDLCompileError, RDLCompiler
from systemrdl.messages import MessagePrinter, Severity
from systemrdl.node import AddrmapNode
from systemrdl.source_ref import DetailedFileSourceRef, SourceRefBase

__all__ = ["compile_rdl"]


class _Messages(MessagePrinter):
    """Collects what the compiler has to say as ``line 3: text``."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def print_message(self, severity: Severity, text: str, src_ref: SourceRefBase | None) -> None:
        place = f"line {src_ref.line}: " if isinstance(src_ref, DetailedFileSourceRef) else ""
        self.lines.append(place + text)


def compile_rdl(path: Path, parameters: Mapping[str, int | Sequence[int]]) -> AddrmapNode:
    """Return the elaborated address map of a SystemRDL file, the last one that it defines.

    Parameters
    ----------
    path
        The file.
    parameters
        Values of the parameters of the address map, by name.

    Raises
    ------
    InputError
        If the compiler finds anything to object to, be it only a warning: wrong syntax,
        registers or fields that overlap, a reset value that does not fit.
    """
    messages = _Messages()
    compiler = RDLCompiler(message_printer=messages)
    try:
        compiler.compile_file(str(path))
        top = compiler.elaborate(parameters=dict(parameters)).top
    except (RDLCompileError, ValueError) as error:
        raise InputError(f"{path.name}: {(messages.lines or [error])[0]}") from None
    if messages.lines:
        raise InputError(f"{path.name}: {messages.lines[0]}")
    return top
