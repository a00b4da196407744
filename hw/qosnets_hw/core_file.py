"""The design as a core of FuseSoC, a package manager for hardware."""

from collections.abc import Sequence

__all__ = ["fusesoc_core"]

_TEMPLATE = """\
CAPI=2:
name: ::{top}:{version}
description: Neural-network accelerator that switches between approximate multipliers

filesets:
  rtl:
    files:
{sources}
    file_type: verilogSource-2005
  waivers:
    files:
      - rtl/lint.vlt
    file_type: vlt

targets:
  default:
    filesets: [rtl]
    toplevel: {top}
  lint:
    filesets: [rtl, waivers]
    toplevel: {top}
    flow: lint
    flow_options:
      tool: verilator
      verilator_options: [-Wall]
"""


def fusesoc_core(sources: Sequence[str], *, top: str, version: str) -> str:
    """Return the description of a core in FuseSoC's format CAPI2.

    It offers the targets ``default``, to be depended on, and ``lint``.

    Parameters
    ----------
    sources
        Verilog files by relative path; ``rtl/lint.vlt`` lies beside them.
    top
        Module that gives the core its name.
    version
        Version of the interface.
    """
    listed = "\n".join(f"      - {source}" for source in sources)
    return _TEMPLATE.format(top=top, version=version, sources=listed)
