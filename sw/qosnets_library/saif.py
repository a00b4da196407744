"""Reader of SAIF files, in which a simulator counts the toggles of every net.

Source: IEEE 1801-2018, annex I (Switching Activity Interchange Format)::

    (SAIFILE header… (INSTANCE name (NET (name (T0 n) (T1 n) … (TC n))…) (INSTANCE …)…))

A character that is special is preceded by a backslash, as are the brackets of a bit's index. Files
are read piece by piece: that of a large design has hundreds of megabytes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qosnets.errors import InputError, shorten

__all__ = ["SaifNet", "saif_nets"]

_TOKEN = re.compile(r'[()]|"[^"]*"|(?:\\.|[^\s()"\\])+')
_BIT = re.compile(r"(?P<name>.+)\\?\[(?P<bit>\d+)\\?\]")


@dataclass(frozen=True)
class SaifNet:
    """The activity of a net, or of a bit of one."""

    scope: tuple[str, ...]
    """Names of the instances around it."""
    name: str
    bit: int
    """0 for a net of one bit."""
    low: int
    """Time at 0, in the time unit of the file."""
    high: int
    toggles: int
    """Transitions between 0 and 1."""


def saif_nets(path: Path) -> Iterator[SaifNet]:
    """Yield the nets of a SAIF file; a net that several scopes see comes once for each.

    Raises
    ------
    InputError
        If the file cannot be read or is not a SAIF file.
    """
    scope: list[str] = []
    # What is open: the first word of each group, and the words of the innermost.
    groups: list[list[str]] = []
    net: dict[str, str] = {}
    known = False
    for token in _tokens(path):
        if token == "(":
            groups.append([])
        elif token != ")":
            if not groups:
                raise InputError(f"{path}: must be a SAIF file, not {shorten(token)}")
            groups[-1].append(token)
            if len(groups) == 1 and groups[0] == ["SAIFILE"]:
                known = True
            if len(groups[-1]) == 2 and groups[-1][0] == "INSTANCE":
                scope.append(_plain(token.strip('"')))
        elif not groups:
            raise InputError(f"{path}: must close no more groups than it opens")
        else:
            words = groups.pop()
            if words[:1] == ["INSTANCE"]:
                scope.pop()
            elif len(groups) > 1 and groups[-2][:1] == ["NET"] and len(words) == 2:
                net[words[0]] = words[1]
            elif groups and groups[-1][:1] == ["NET"] and words:
                yield _net(tuple(scope), words[0], net, path)
                net = {}
    if groups or not known:
        raise InputError(f"{path}: must be a whole SAIF file")


def _net(scope: tuple[str, ...], name: str, counts: dict[str, str], path: Path) -> SaifNet:
    match = _BIT.fullmatch(name)
    try:
        low, high, toggles = (int(float(counts[field])) for field in ("T0", "T1", "TC"))
    except (KeyError, ValueError):
        raise InputError(f"{path}: net {shorten(name)}: must have counts T0, T1 and TC") from None
    base, bit = (match["name"], int(match["bit"])) if match else (name, 0)
    return SaifNet(scope, _plain(base.removesuffix("\\")), bit, low, high, toggles)


def _plain(name: str) -> str:
    """Return a name without the backslashes before special characters."""
    return re.sub(r"\\(.)", r"\1", name)


def _tokens(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                if not line.lstrip().startswith("//"):
                    yield from _TOKEN.findall(line)
    except UnicodeDecodeError:
        raise InputError(f"{path}: must be text") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
