"""Keeps the Verilog of a user from making Yosys open other files."""

import re
from pathlib import PurePath

from qosnets.errors import InputError, shorten

__all__ = ["harmless_text"]

# Directives that neither read files nor define text.
_DIRECTIVES = (
    "celldefine default_nettype define else elsif endcelldefine endif ifdef ifndef"
    " nounconnected_drive resetall timescale unconnected_drive undef"
).split()

# As the preprocessor of Yosys, which splits text so: string, line comment, block comment.
_STRING_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_DEFINE_NAME = re.compile(r"[ \t]+([A-Za-z_][\w$]*)", re.ASCII)
_IDENTIFIER_BEFORE = re.compile(r"[\w$\\]\Z", re.ASCII)


def harmless_text(name: str, content: bytes, where: str) -> bytes:
    """Return the content of a file for Yosys, which reads no other file because of it.

    Macros without arguments are allowed. Each backquote of the text, and hence of each macro's
    text, starts the whole name of a known directive or of a macro, and no identifier stands right
    before it: so no expansion can compose ``include`` or ``$readmem``. What Yosys would leave out
    of the text (carriage returns, zero bytes) does not reach it, nor do comments with backquotes.

    Parameters
    ----------
    name
        Name of the file; BLIF has no directives.
    content
        Content of the file.
    where
        Starts the messages.

    Raises
    ------
    InputError
        If the text could make Yosys open another file.
    """
    if b"\0" in content:
        raise InputError(f"{where}: must be a text, has a zero byte")
    # Every byte is a character, and back.
    text = content.decode("latin-1").replace("\r", "")
    if PurePath(name).suffix.lower() != ".blif":
        text = _STRING_OR_COMMENT.sub(_without_backquotes, text)
        _check_directives(text, where)
        if "$readmem" in text:
            raise InputError(f"{where}: must not read files, not use $readmem")
    return text.encode("latin-1")


def _without_backquotes(found: re.Match[str]) -> str:
    """Return a comment with backquotes as a space and its line breaks, others as they are."""
    text = found[0]
    if "`" not in text or text.startswith('"'):
        return text
    return " " + "\n" * text.count("\n")


def _check_directives(text: str, where: str) -> None:
    macros: set[str] = set()
    for found in re.finditer(r"`([\w$]*)", text, re.ASCII):
        place = f"{where}: line {text.count(chr(10), 0, found.start()) + 1}"
        if found[1] in macros:
            if _IDENTIFIER_BEFORE.search(text, max(0, found.start() - 1), found.start()):
                raise InputError(f"{place}: {found[0]} must not follow a name without a space")
        elif found[1] not in _DIRECTIVES:
            raise InputError(
                f"{place}: directive must be one of {', '.join(_DIRECTIVES)} or the use of a macro"
                f" defined above, not {shorten(found[0])}"
            )
        elif found[1] == "define":
            macros.add(_defined(text, found.end(), place))


def _defined(text: str, position: int, place: str) -> str:
    """Return the name of the macro whose definition goes on at ``position``."""
    found = _DEFINE_NAME.match(text, position)
    if found is None:
        raise InputError(f"{place}: `define must be followed by a name")
    name = found[1]
    if text.startswith("(", found.end()):
        raise InputError(f"{place}: macro {name} must have no arguments (expand it first)")
    if name in (*_DIRECTIVES, "include"):
        raise InputError(f"{place}: a macro must not be named like a directive, not {name}")
    return name
