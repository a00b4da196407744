"""One clear line out of a pydantic validation error."""

from typing import NoReturn

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from .errors import shorten

__all__ = ["field_path", "refuse", "validation_message"]


def refuse(field: str, rule: str) -> NoReturn:
    """Refuse a value from within a model validator: ``field`` breaks ``rule``."""
    raise PydanticCustomError("rule", "{field}: {rule}", {"field": field, "rule": rule})


def field_path(location: tuple[int | str, ...]) -> str:
    """Return a location as text: ``("layers", 3, "kernel")`` → ``layers[3].kernel``.

    Pydantic names the member of a tagged union in the location; a reader of the file knows no
    such step, so the tag is left out.
    """
    path = ""
    for index, part in enumerate(location):
        if isinstance(part, int):
            path += f"[{part}]"
        elif not _is_union_tag(location, index):
            text = repr(part)[1:-1]
            path += f".{text}" if path else text
    return path


def _is_union_tag(location: tuple[int | str, ...], index: int) -> bool:
    before = location[:index]
    in_graph = len(before) == 2 and before[0] == "graph"
    return in_graph or (bool(before) and before[-1] == "realisation")


def validation_message(error: ValidationError) -> str:
    """Return ``field: rule, not value`` for the first thing that ``error`` reports.

    A rule that spans several fields (see :func:`refuse`) carries its own place in the message.
    """
    first = error.errors(include_url=False)[0]
    field, value = field_path(first["loc"]), shorten(first["input"])
    match first["type"]:
        case "rule":
            return first["msg"]
        case "missing":
            return f"{field}: is missing"
        case "extra_forbidden":
            return f"{field}: unknown key"
        case "too_short":
            return f"{field}: must have at least {first['ctx']['min_length']} entries, not {value}"
        case "too_long":
            n, limit = first["ctx"]["actual_length"], first["ctx"]["max_length"]
            return f"{field}: must have at most {limit} entries, not {n}"
        case "union_tag_not_found":
            key = first["ctx"]["discriminator"].strip("'")
            return f"{field}.{key}: is missing"
        case "union_tag_invalid":
            ctx = first["ctx"]
            key = ctx["discriminator"].strip("'")
            return f"{field}.{key}: must be one of {ctx['expected_tags']}, not {ctx['tag']!r}"
    rule = first["msg"]
    for generic in ("Input should be ", "String should ", "Value should ", "List should "):
        rule = rule.replace(generic, "must be " if generic.startswith("Input") else "must ")
    return f"{field + ': ' if field else ''}{rule}, not {value}"
