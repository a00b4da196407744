"""What paths find out about a table, once for each tensor."""

from collections.abc import Callable, MutableMapping
from typing import Generic, TypeVar

from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

__all__ = ["Examined"]

Finding = TypeVar("Finding")


class Examined(Generic[Finding]):
    """An examination of tables whose findings are kept as long as the tensor, and its content."""

    def __init__(self, examine: Callable[[Tensor], Finding]) -> None:
        self._examine = examine
        self._found: MutableMapping[Tensor, tuple[int, Finding]] = WeakIdKeyDictionary()

    def __call__(self, table: Tensor) -> Finding:
        """Return what the examination of a table finds."""
        kept = self._found.get(table)
        if kept is None or kept[0] != table._version:
            kept = self._found[table] = table._version, self._examine(table)
        return kept[1]
