"""Factories of the user, named ``package.module:factory``."""

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path

from qosnets.errors import InputError, QosnetsError, shorten

__all__ = ["call_factory", "is_reference"]

_REFERENCE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def is_reference(text: str) -> bool:
    """Tell whether ``text`` has the form ``package.module:factory``."""
    return _REFERENCE.fullmatch(text) is not None


def call_factory(reference: str, *, option: str) -> object:
    """Call a factory of the user without arguments and return what it made.

    The current directory is searched first, as with ``python -m``.

    Parameters
    ----------
    reference
        ``package.module:factory``; the factory may be nested, as in ``module:Class.method``.
    option
        Starts every message, such as ``--model``.

    Raises
    ------
    InputError
        If the module or factory does not exist or cannot be called, or if either raises.
    """
    module_name, _, attribute = reference.partition(":")
    where = f"{option}: {reference}"
    factory = _import(module_name, where)
    for name in attribute.split("."):
        try:
            factory = getattr(factory, name)
        except AttributeError:
            raise InputError(f"{where}: {module_name} has no {shorten(attribute)}") from None
    if not callable(factory):
        raise InputError(f"{where}: must be callable, not {type(factory).__name__}")
    return _run(factory, where)


def _import(module_name: str, where: str) -> object:
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    # A module written since the last look into its folder is found, too.
    importlib.invalidate_caches()
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            rule = f"module {error.name} must be installed or lie in {folder}"
            raise InputError(f"{where}: {rule}") from None
        raise _failure(where, "import of the module", error) from error
    except Exception as error:
        raise _failure(where, "import of the module", error) from error


def _run(factory: Callable[[], object], where: str) -> object:
    try:
        return factory()
    except QosnetsError as error:
        raise InputError(f"{where}: {error}") from error
    except Exception as error:
        raise _failure(where, "factory", error) from error


def _failure(where: str, what: str, error: Exception) -> InputError:
    text = " ".join(str(error).split())
    return InputError(f"{where}: {what} failed: {type(error).__name__}: {text}")
