"""``qosnets-hw``: the command line, and the place where the stages are put together.

Every command imports what it needs when it runs, so that help is instant and ``generate`` works
without torch.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer
from qosnets.errors import QosnetsError

from .cli_compare import compare
from .cli_library import app as library_app
from .cli_output import print_json
from .cli_recipe import DEFAULT_LIBRARY, CandidateLibrary
from .cli_search import network, search
from .cli_store import LibertyFile, OnlyLibrary
from .defaults import (
    DEFAULT_EXTENT,
    DEFAULT_K_MAX,
    DEFAULT_PSUM_DEPTH,
    MAX_EXTENT,
    BankKind,
    Isolation,
)

__all__ = ["app", "main"]

app = typer.Typer(
    name="qosnets-hw",
    help="From a trained network to verified hardware that switches between multipliers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
ops_app = typer.Typer(help="Look into ops.json files.", no_args_is_help=True)
app.add_typer(library_app, name="library")
app.add_typer(ops_app, name="ops")

OpsPath = Annotated[Path, typer.Option("--ops", help="The ops.json.", metavar="FILE")]
Out = Annotated[Path, typer.Option("--out", help="Output folder.", metavar="DIR")]
Force = Annotated[bool, typer.Option("--force", help="Replace earlier output in the folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Rows = Annotated[int, typer.Option(help=f"Rows of the array, 1..{MAX_EXTENT}.")]
Cols = Annotated[int, typer.Option(help=f"Columns of the array, 1..{MAX_EXTENT}.")]
KMax = Annotated[int, typer.Option(help="Largest reduction, where ops.json has no geometry.")]
PsumDepth = Annotated[int, typer.Option(help="Output positions that can be accumulated at once.")]
Bank = Annotated[
    BankKind | None,
    typer.Option(
        help="A netlist for each multiplier, or one circuit with modes.",
        show_default="as ops.json says",
    ),
]
Isolated = Annotated[
    Isolation, typer.Option(help="Operands held at zero in multipliers that are not selected.")
]
Seed = Annotated[int, typer.Option(help="Seed of everything that is drawn.")]


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"qosnets-hw {version('qosnets-hw')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the program itself."""


@app.command()
def demo(
    out: Out,
    force: Force = False,
    seed: Seed = 1,
    library: CandidateLibrary = DEFAULT_LIBRARY,
    json: Json = False,
) -> None:
    """Run the whole chain: library, search, generate, simulate, report."""
    from .cli_demo import run_demo

    run_demo(out, force=force, seed=seed, library=library, as_json=json)


app.command()(search)
app.command()(compare)
app.command()(network)


@ops_app.command("validate")
def ops_validate(
    path: Annotated[Path, typer.Argument(help="The ops.json.", metavar="FILE")], json: Json = False
) -> None:
    """Check an ops.json and the files it refers to."""
    from qosnets.ops import OpsFile
    from qosnets.parameters import check_data

    file = OpsFile.load(path)
    check_data(file)
    ops = file.ops
    counts = {
        "multipliers": len(ops.multipliers),
        "layers": len(ops.layers),
        "operating_points": len(ops.operating_points),
    }
    if json:
        print_json({"valid": True, "sha256": file.sha256} | counts)
    else:
        summary = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in counts.items())
        typer.echo(f"{path}: valid: {summary}")


@ops_app.command("schema")
def ops_schema() -> None:
    """Print the JSON Schema of ops.json."""
    from qosnets.ops import ops_json_schema

    print_json(ops_json_schema())


@ops_app.command("operands")
def ops_operands(
    path: Annotated[Path, typer.Argument(help="The ops.json.", metavar="FILE")],
    layer: Annotated[str, typer.Option(help="Name of the layer.", metavar="NAME")],
    out: Annotated[Path, typer.Option("--out", help="File to write (.json).", metavar="FILE")],
    point: Annotated[
        str | None,
        typer.Option(help="Name of the operating point.", show_default="the first", metavar="NAME"),
    ] = None,
    library: OnlyLibrary = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
) -> None:
    """Count what a layer multiplies: operand histograms for `library` commands."""
    from .cli_operands import run_operands

    run_operands(path, out, layer=layer, point=point, library=library, force=force)


@app.command()
def generate(
    ops: OpsPath,
    out: Out,
    rows: Rows = DEFAULT_EXTENT,
    cols: Cols = DEFAULT_EXTENT,
    k_max: KMax = DEFAULT_K_MAX,
    psum_depth: PsumDepth = DEFAULT_PSUM_DEPTH,
    bank: Bank = None,
    isolation: Isolated = Isolation.BOTH,
    library: OnlyLibrary = None,
    force: Force = False,
) -> None:
    """Generate the accelerator: Verilog, drivers, register documents and a manifest."""
    from qosnets.files import check_output_folder, publish

    from .cli_stages import make_design

    check_output_folder(out, force=force)
    sizes = {"rows": rows, "cols": cols, "k_max": k_max, "psum_depth": psum_depth}
    _, design = make_design(
        ops, sizes, bank=bank, isolation=isolation, library=library, documents=True
    )
    publish(out, design.files, force=force, manifest=design.manifest)
    typer.echo(f"{out}: {len(design.manifest['sources'])} Verilog files, rtl/files.f lists them")


@app.command()
def sim(
    ops: OpsPath,
    rows: Rows = DEFAULT_EXTENT,
    cols: Cols = DEFAULT_EXTENT,
    k_max: KMax = DEFAULT_K_MAX,
    psum_depth: PsumDepth = DEFAULT_PSUM_DEPTH,
    bank: Bank = None,
    isolation: Isolated = Isolation.BOTH,
    library: OnlyLibrary = None,
    images: Annotated[
        int | None,
        typer.Option(help="Images per operating point.", show_default="all vectors"),
    ] = None,
    stalls: Annotated[float, typer.Option(help="Share of cycles with stalled streams.")] = 0.0,
    multiplier_model: Annotated[
        str,
        typer.Option(
            help="What multiplies in the array: its netlists, or look-ups, which are faster."
            " The bank is compared with its netlists in any case.",
            metavar="netlist|lut",
        ),
    ] = "netlist",
    seed: Seed = 1,
    json: Json = False,
) -> None:
    """Generate the array and compare it in simulation with the golden model, bit by bit."""
    from .cli_stages import make_design, run_sim

    sizes = {"rows": rows, "cols": cols, "k_max": k_max, "psum_depth": psum_depth}
    file, design = make_design(ops, sizes, bank=bank, isolation=isolation, library=library)
    run_sim(
        file,
        design,
        n_images=images,
        stalls=stalls,
        multiplier_model=multiplier_model,
        seed=seed,
        as_json=json,
    )


@app.command()
def report(
    ops: OpsPath,
    rows: Rows = DEFAULT_EXTENT,
    cols: Cols = DEFAULT_EXTENT,
    k_max: KMax = DEFAULT_K_MAX,
    psum_depth: PsumDepth = DEFAULT_PSUM_DEPTH,
    bank: Bank = None,
    isolation: Isolated = Isolation.BOTH,
    library: OnlyLibrary = None,
    liberty: LibertyFile = None,
    power: Annotated[
        bool,
        typer.Option("--power", help="Simulate the mapped array for its power; takes minutes."),
    ] = False,
    seed: Seed = 1,
    json: Json = False,
) -> None:
    """Synthesise the array: area by block, longest paths, power per operating point."""
    from .cli_report import run_report
    from .cli_stages import make_design

    sizes = {"rows": rows, "cols": cols, "k_max": k_max, "psum_depth": psum_depth}
    file, design = make_design(
        ops,
        sizes,
        bank=bank,
        isolation=isolation,
        library=library,
        with_estimates=True,
        liberty=liberty,
    )
    run_report(
        file,
        design,
        sizes=sizes,
        library=library,
        liberty=liberty,
        power=power,
        seed=seed,
        as_json=json,
    )


@app.command()
def doctor(json: Json = False) -> None:
    """Show every external tool: where it is, which version, what needs it, how to get it."""
    from dataclasses import asdict

    from .cli_output import print_table
    from .doctor import examine

    tools = examine()
    if json:
        print_json([asdict(tool) for tool in tools])
    else:
        rows = [
            (tool.name, tool.version or "", tool.found or "missing", tool.needed_by, tool.get)
            for tool in tools
        ]
        print_table(("tool", "version", "found", "needed by", "how to get it"), rows)
    if any(tool.found is None for tool in tools):
        raise typer.Exit(3)


def main() -> None:
    """Run the program; errors become one line on standard error and an exit code."""
    try:
        code = app(standalone_mode=False)
        if code == 130:  # how typer reports an interrupt
            raise KeyboardInterrupt
    except QosnetsError as error:
        code = _fail(str(error), error.exit_code)
    except typer.TyperException as error:
        code = _fail(error.format_message(), 2)
    except KeyboardInterrupt:
        code = _fail("interrupted", 130)
    except BrokenPipeError:
        # The reader of our output went away, which is its right.
        sys.stderr.close()
        code = 0
    except OSError as error:
        code = _fail(f"{error.filename or 'system'}: {error.strerror}", 2)
    sys.exit(code or 0)


def _fail(message: str, code: int) -> int:
    print(f"qosnets-hw: {' '.join(message.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
