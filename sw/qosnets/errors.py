"""Errors that a user can act on, one class for each exit code."""

__all__ = ["CheckError", "InputError", "QosnetsError", "ToolError", "shorten"]


class QosnetsError(Exception):
    """An error that the command line reports as one line, without a traceback.

    The message names where the fault lies, the rule and the offending value, for example
    ``ops.json: layers[3].stride: must be at least 1, not 0``.
    """

    exit_code = 1


class CheckError(QosnetsError):
    """A check ran and failed: mismatches, or a proof that does not hold."""

    exit_code = 1


class InputError(QosnetsError):
    """The input or the usage is wrong."""

    exit_code = 2


class ToolError(QosnetsError):
    """An external tool is missing, too old, or failed."""

    exit_code = 3


def shorten(value: object, limit: int = 60) -> str:
    """Return ``repr(value)`` cut to ``limit`` characters, for use in a message."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
