"""One clear line out of a pydantic validation error."""

from pydantic import ValidationError

from .errors import shorten

__all__ = ["field_path", "validation_message"]


def field_path(location: tuple[int | str, ...]) -> str:
    """Return a location as text: ``("layers", 3, "kernel")`` → ``layers[3].kernel``."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


def validation_message(error: ValidationError) -> str:
    """Return ``field: rule, not value`` for the first thing that ``error`` reports.

    A rule that spans several fields (error type ``rule``) carries its own place in the message.
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
        case "union_tag_invalid":
            ctx = first["ctx"]
            key = ctx["discriminator"].strip("'")
            return f"{field}.{key}: must be one of {ctx['expected_tags']}, not {ctx['tag']!r}"
    rule = first["msg"]
    for generic in ("Input should be ", "String should ", "Value should ", "List should "):
        rule = rule.replace(generic, "must be " if generic.startswith("Input") else "must ")
    return f"{field + ': ' if field else ''}{rule}, not {value}"
