"""The commands that only look into an archive: list and show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from pushforward.flows.usage import UsageError

if TYPE_CHECKING:
    from pushforward.archive import Archive
    from pushforward.entries import Entry

Root = Annotated[str, Parameter(name="--root")]
RUNS = "runs"


def entries(
    *,
    root: Root = RUNS,
    where: Annotated[
        tuple[str, ...], Parameter(name="--where", negative="", show_default=False)
    ] = (),
) -> None:
    """List what an archive holds.

    Parameters
    ----------
    root
        Folder of the archive.
    where
        Only results whose study says so, as in equation=navier_stokes or viscosity=[0,1e-3], a
        range; may be repeated.
    """
    from rich import box
    from rich.table import Table

    from pushforward.archive import Archive
    from pushforward.flows.table import console

    found = Archive(root).search(**dict(_condition(text) for text in where))
    if not found:
        say = f"{root} holds no results" + (" like these" if where else "")
        console().print(say)
        return
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("name", "state", "equation", "grid", "members", "certificate", "made"):
        drawn.add_column(column, no_wrap=column == "name")
    for entry in found:
        drawn.add_row(*_row(entry, Archive(root)))
    console().print(drawn)


def show(name: str, /, *, root: Root = RUNS) -> None:
    """Open a result with xarray and print it; files where it has no arrays.

    A simulation's certificate is printed in any case, also before its data are there.

    Parameters
    ----------
    name
        A result, or the beginning of its name.
    root
        Folder of the archive.
    """
    from pushforward.archive import Archive
    from pushforward.certificate import summary

    archive = Archive(root)
    entry = find(archive, name)
    folder = archive.folder(entry.name)
    print(f"{entry.name} in {folder}")
    if entry.kind == "simulation":
        print(f"certificate: {summary(folder)['certificate']}")
    archive.require(entry.name)
    if (folder / "data.zarr").exists():
        print(archive.open(entry.name))
    else:
        for path in sorted(folder.iterdir()):
            print(f"  {path.name:<24} {path.stat().st_size:>12,} bytes")


def _condition(text: str) -> tuple[str, Any]:
    """A key and a value to search for; a list of two numbers is a range.

    >>> _condition("viscosity=[0, 0.1]"), _condition("equation=gray_scott")
    (('viscosity', (0, 0.1)), ('equation', 'gray_scott'))
    """
    import yaml

    key, equals, value = text.partition("=")
    if not key or not equals:
        raise UsageError(f"--where: expected key=value, got {text!r}; name a key and a value")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError:
        raise UsageError(f"--where: expected a YAML value, got {value!r}; quote it") from None
    return key, tuple(parsed) if isinstance(parsed, list) else parsed


def find(archive: Archive, name: str) -> Entry:
    """The one result that is called so, or begins so."""
    found = [entry for entry in archive.search() if entry.name.startswith(name)]
    exact = [entry for entry in found if entry.name == name]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if found:
        names = ", ".join(entry.name for entry in found)
        raise LookupError(
            f"expected one result, got {len(found)} named {name}...: {names}; be exact"
        )
    raise LookupError(f"{name} is not in {archive.root}; `pushforward list` says what is")


def _row(entry: Entry, archive: Archive) -> tuple[str, ...]:
    simulation = entry.spec
    for above in ("generation", "training", "simulation"):
        simulation = simulation.get(above, simulation)
    grid = entry.spec.get("grid") or simulation["grid"]
    made = (entry.manifest or {}).get("provenance", {}).get("time", "")
    return (
        entry.name,
        state(entry, archive),
        simulation["equation"]["kind"],
        "x".join(map(str, grid["shape"])),
        str(entry.spec.get("members", "")),
        _certified(entry, archive),
        str(made),
    )


def _certified(entry: Entry, archive: Archive) -> str:
    """The error that a simulation's certificate found, and whether that is too much."""
    from pushforward.certificate import read

    if entry.kind != "simulation":
        return ""
    found = read(archive.folder(entry.name))
    if found is None:
        return "none"
    return f"{found.worst.error:.1g}" + ("" if found.converged else ", not converged")


def state(entry: Entry, archive: Archive) -> str:
    if entry.sealed:
        return "complete"
    total = len(archive.blocks(entry.name))
    return f"{total - len(archive.missing(entry.name))} of {total} blocks" if total else "begun"
