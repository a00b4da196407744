"""What a design comes with beside Verilog: file lists, drivers, documents of the registers."""

import logging
from collections.abc import Sequence
from importlib import resources
from importlib.util import find_spec

from systemrdl.node import AddrmapNode

from .core_file import fusesoc_core
from .registers.register_map import read_register_map

__all__ = ["collateral"]

_DOCUMENTING = ("peakrdl_cheader", "peakrdl_html", "peakrdl_ipxact")
_DRIVERS = ("c/qosnets.c", "c/qosnets.h", "python/qosnets_driver.py")

_log = logging.getLogger(__name__)


def collateral(
    sources: Sequence[str], *, top: str, address_map: AddrmapNode, documents: bool
) -> dict[str, bytes]:
    """Return the files by relative path.

    ``rtl/files.f``, ``rtl/lint.vlt``
        Verilog files by path from ``rtl``; waivers for Verilator.
    ``qosnets.core``
        FuseSoC core.
    ``drivers/``
        C and Python driver.
    ``drivers/c/qosnets_registers.h``, ``docs/``
        With ``documents``: the header that the C driver includes, IP-XACT and HTML. Left out,
        with a warning, where the packages that make them are not installed.

    Parameters
    ----------
    sources
        Verilog files by relative path.
    top
        Module at the top.
    address_map
        The registers.
    documents
        Whether to make documents; they take longer than everything else here.
    """
    version = read_register_map(address_map).version
    files = {
        "rtl/files.f": "".join(f"{name.removeprefix('rtl/')}\n" for name in sources).encode(),
        "rtl/lint.vlt": resources.files(__package__).joinpath("lint.vlt").read_bytes(),
        "qosnets.core": fusesoc_core(sources, top=top, version=version).encode(),
    }
    drivers = resources.files(__package__).joinpath("drivers")
    files |= {f"drivers/{name}": drivers.joinpath(name).read_bytes() for name in _DRIVERS}
    return files | (_documents(address_map) if documents else {})


def _documents(address_map: AddrmapNode) -> dict[str, bytes]:
    missing = [name for name in _DOCUMENTING if find_spec(name) is None]
    if missing:
        package = missing[0].replace("_", "-")
        _log.warning(
            "%s: not found; without it there are no docs/ and no header for the C driver;"
            " install with: pip install 'qosnets-hw[registers]'",
            package,
        )
        return {}
    from .registers.documents import register_documents

    documents = register_documents(address_map)
    header = f"{address_map.inst_name}_registers.h"
    files = {f"drivers/c/{header}": documents.pop(header)}
    return files | {f"docs/{name}": content for name, content in documents.items()}
