r"""Reader of the grammar of Liberty files; what groups and attributes mean is not its business.

Source: *Liberty User Guide* and *Liberty Reference Manual* of the Liberty Technical Advisory Board
(Open Source Liberty), chapters on general syntax::

    group:             name (arguments) { statements }
    simple attribute:  name : value ;
    complex attribute: name (arguments) ;

Comments are ``/* … */``; a backslash before the end of a line continues it. Beyond that, as common
tools do, semicolons may be missing at the end of a line, and ``//`` starts a comment.

Why no package: liberty-parser is under the GPL; those under permissive licences, libparse and
eda-liberty-parser, take a file that ends inside a group for a whole one.
"""

import re
from dataclasses import dataclass, field

from qosnets.errors import InputError, shorten

__all__ = ["Group", "parse_group"]

# Possessive quantifiers stand at classes of characters only: at a group, Python 3.11.2 also takes
# what its last, failing repetition has matched. As alternatives start with different characters,
# nothing is tried twice.
_STRING = r'"(?:[^"\\]++|\\.)*"'
_COMMENT = r"(?:/\*.*?\*/|//[^\n]*+)"
_BLANK = rf"(?:[\s\\]++|{_COMMENT})*"
# Ends at a semicolon, a brace, a comment or the end of its line.
_VALUE = rf"(?:{_STRING}|\\\r?\n|[^\"\\;{{}}/\n]++|/(?![*/]))*"
_ARGUMENTS = rf'(?:{_STRING}|{_COMMENT}|[^"()/]++|/(?![*/]))*'

_STATEMENT = re.compile(
    rf"""
    (?P<close> \}} )
    | (?P<name> [^\s:;,(){{}}"/\\]++ ) {_BLANK}
      (?: :{_BLANK} (?P<value> {_VALUE} )
        | \( (?P<arguments> {_ARGUMENTS} ) \) (?: {_BLANK} (?P<open> \{{ ) )? )
    """,
    re.VERBOSE | re.DOTALL,
)

_BETWEEN = re.compile(rf"(?:[\s\\;]++|{_COMMENT})*", re.DOTALL)

_ARGUMENT = re.compile(rf'{_COMMENT}|({_STRING}|(?:[^\s,"\\/]|/(?![*/]))+)', re.DOTALL)

_CONTINUATION = re.compile(r"\\\r?\n")


@dataclass(frozen=True)
class Group:
    """A group with what it contains; all values are text, without the quotes around it."""

    name: str
    arguments: list[str]
    attributes: dict[str, str] = field(default_factory=dict)
    """Source text of the values, or of the arguments, by name; the last of several counts."""
    groups: list["Group"] = field(default_factory=list)

    @property
    def title(self) -> str:
        """First argument; the empty text where there is none."""
        return next(iter(self.arguments), "")

    def value(self, name: str) -> str | None:
        """Return the value of a simple attribute, None where it is missing."""
        source = self.attributes.get(name)
        return None if source is None else _unquoted(source)

    def values(self, name: str) -> list[str]:
        """Return the arguments of a complex attribute; none where it is missing."""
        return _arguments(self.attributes.get(name, ""))

    def of_kind(self, name: str) -> list["Group"]:
        """Return the groups of a name directly inside this one."""
        return [group for group in self.groups if group.name == name]

    def first(self, name: str) -> "Group | None":
        """Return the first group of a name directly inside this one, None where there is none."""
        return next(iter(self.of_kind(name)), None)


def parse_group(text: str, where: str) -> Group:
    """Return the one group that a Liberty file consists of.

    Parameters
    ----------
    text
        The file.
    where
        Starts the messages.

    Raises
    ------
    InputError
        If the text is not one group of statements, or if braces do not match; the message has
        the number of the line.
    """
    top = Group("", [])
    # Groups that are open, with the place where each starts.
    nested = [(top, 0)]
    position = _skip(text, 0)
    while position < len(text):
        match = _STATEMENT.match(text, position)
        group, _ = nested[-1]
        if match is None or (group is top and (top.groups or not match["open"])):
            rule = "the end of the file" if top.groups else "a Liberty file"
            if group is not top:
                rule = "a Liberty statement"
            found = shorten(text[position:].partition("\n")[0])
            raise InputError(f"{where}: line {_line(text, position)}: must be {rule}, not {found}")
        name, value, arguments = match.group("name", "value", "arguments")
        if match["close"]:
            nested.pop()
        elif match["open"]:
            group.groups.append(inner := Group(name, _arguments(arguments)))
            nested.append((inner, position))
        else:
            group.attributes[name] = arguments if value is None else value
        position = _skip(text, match.end())
    if not top.groups:
        raise InputError(f"{where}: must be a Liberty file, not empty")
    if len(nested) > 1:
        group, start = nested[-1]
        raise InputError(
            f"{where}: line {_line(text, start)}: must close the group {group.name} before the end"
        )
    return top.groups[0]


def _skip(text: str, position: int) -> int:
    match = _BETWEEN.match(text, position)
    assert match is not None  # it matches nothing, too
    return match.end()


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _arguments(source: str) -> list[str]:
    return [_unquoted(argument) for argument in _ARGUMENT.findall(source) if argument]


def _unquoted(source: str) -> str:
    text = _CONTINUATION.sub("", source).strip()
    return text[1:-1] if text.startswith('"') and text.endswith('"') else text
