"""The register map for people and tools: C header, HTML and IP-XACT, made by PeakRDL."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from peakrdl_cheader.c_standards import CStandard
from peakrdl_cheader.exporter import CHeaderExporter
from peakrdl_html import HTMLExporter
from peakrdl_ipxact import IPXACTExporter, Standard
from systemrdl.node import AddrmapNode

from .register_map import read_register_map

__all__ = ["register_documents"]

_OTHER_FONTS = {".eot", ".ttf", ".woff", ".svg"}
"""Older formats of fonts that are there as .woff2, too, which every browser reads that runs the
scripts of the page. They would be 80 % of the documents."""

_REMOTE_SCRIPT = re.compile(rb'<script [^>]*src="https?://[^>]*></script>')
_NO_FORMULAS = b"<script>var MathJax = {Hub: {Queue: function () {}}};</script>"
"""What the page needs in place of MathJax, which it would load from the network."""


def register_documents(top: AddrmapNode) -> dict[str, bytes]:
    """Return the documents of an elaborated address map by relative file name.

    ``NAME_registers.h``
        GNU C11 or C++: masks, positions and reset values of the fields, and a structure of the
        registers. The reset values of constants are those of the design, so that a driver can
        compare them with what it reads.
    ``NAME_registers.xml``
        IP-XACT (IEEE 1685-2014): a component with nothing but the memory map.
    ``html/``
        Start at ``index.html``, through a web server: browsers do not let a page from the file
        system load its parts.

    The same map gives the same bytes: no time stamps, no paths, no links to sources. Nothing is
    loaded from the network.

    Parameters
    ----------
    top
        Called NAME above; has a register VERSION with the fields ``major`` and ``minor``.
    """
    name = f"{top.inst_name}_registers"
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        # Types that registers share would be named by the values of all parameters.
        CHeaderExporter().export(
            top, str(folder / f"{name}.h"), std=CStandard.gnu11, reuse_typedefs=False
        )
        ipxact = IPXACTExporter(
            vendor=top.inst_name,
            library="hw",
            version=read_register_map(top).version,
            standard=Standard.IEEE_1685_2014,
        )
        ipxact.export(top, str(folder / f"{name}.xml"), component_name=name)
        # The page appends the time of its making to addresses, against stale caches.
        html = HTMLExporter(generate_source_links=False, user_context={"build_ts": 0})
        html.export(top, str(folder / "html"))
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix not in _OTHER_FONTS
        }
    files["html/index.html"] = _REMOTE_SCRIPT.sub(_NO_FORMULAS, files["html/index.html"])
    return files
