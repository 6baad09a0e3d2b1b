"""The commands that only look into an archive: list, show and export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pushforward.flows.usage import UsageError

if TYPE_CHECKING:
    from pushforward.archive import Archive
    from pushforward.conditions import Condition
    from pushforward.entries import Entry

Root = Annotated[str, Parameter(name="--root")]
Where = Annotated[tuple[str, ...], Parameter(name="--where", negative="", show_default=False)]
RUNS, HERE = "runs", Path()
COLUMNS = ("name", "state", "equation", "grid", "members", "scores", "from", "certificate", "made")


def entries(
    *,
    root: Root = RUNS,
    where: Where = (),
) -> None:
    """List what an archive holds.

    Of evaluations it says how many scores lie outside their floor, and which is farthest from it.

    Parameters
    ----------
    root
        Folder of the archive.
    where
        Only results whose study says so, as in equation=navier_stokes, "viscosity<1e-3" or
        viscosity=[0,1e-3], a range; or whose scores are so many times the floor, as in "w1<=2";
        may be repeated.
    """
    from rich import box
    from rich.table import Table

    from pushforward.archive import Archive
    from pushforward.flows.table import console

    found = Archive(root).search(*conditions(where))
    if not found:
        say = f"{root} holds no results" + (" like these" if where else "")
        console().print(say)
        return
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in COLUMNS:
        drawn.add_column(column, no_wrap=column == "name")
    for entry in found:
        drawn.add_row(*_row(entry, Archive(root)))
    console().print(drawn)


def show(
    name: str,
    /,
    *,
    root: Root = RUNS,
    study: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    to: Path = HERE,
    pictures: Annotated[bool, Parameter(negative="--no-pictures", show_default=False)] = True,
) -> None:
    """Open a result with xarray, print it, and write pictures of it; files if it has no arrays.

    NAME.png has a few members at a few times (of a training its learning curve, of an evaluation
    the solver above the surrogate), NAME.gif is an animation where there are several times. A
    simulation's certificate is printed in any case, also before its data are there, and so is the
    command that repeats it.

    Parameters
    ----------
    name
        A result, or the beginning of its name.
    root
        Folder of the archive.
    study
        Print the study that makes it again instead, as YAML, with what code made it.
    to
        Folder that pictures are written to; by default the current one.
    pictures
        Whether pictures are written.
    """
    from pushforward.archive import Archive
    from pushforward.certificate import summary
    from pushforward.repetition import command, heading, written
    from pushforward.repetition import study as whole

    archive = Archive(root)
    entry = archive.find(name)
    folder = archive.folder(entry.name)
    if study:
        print(heading(entry) + written(whole(archive.stored(entry.name))), end="")
        return
    print(f"{entry.name} in {folder}")
    print(f"to repeat it: {command(entry, root)}")
    if entry.kind == "simulation":
        print(f"certificate: {summary(folder)['certificate']}")
    archive.require(entry.name)
    if (folder / "data.zarr").exists():
        print(archive.open(entry.name))
    else:
        for path in sorted(folder.iterdir()):
            print(f"  {path.name:<24} {path.stat().st_size:>12,} bytes")
    if pictures:
        _draw(entry.name, archive, to)


def _draw(name: str, archive: Archive, folder: Path) -> None:
    """Writes the pictures of a complete result, and says where they are."""
    from pushforward.gallery import draw

    try:
        drawn = draw(name, archive, folder)
    except LookupError as mistake:  # an evaluation outlives what it compared
        print(f"no picture: {mistake.args[0]}")
        return
    for path in drawn:
        print(f"picture: {path}")


def export(path: Path, /, *, root: Root = RUNS, where: Where = ()) -> None:
    """Write an Intake catalogue of the complete ensembles, which plain xarray can follow, too.

    Parameters
    ----------
    path
        The YAML file to write.
    root
        Folder of the archive.
    where
        Only these results, as in `pushforward list`.
    """
    from pushforward.archive import Archive
    from pushforward.export import export as write

    print(f"{path}: {write(Archive(root), path, *conditions(where))} sources")


def conditions(where: tuple[str, ...]) -> list[Condition]:
    """What --where asks for, as `Archive.search` takes it.

    >>> conditions(("viscosity=[0, 0.1]", "members > 8"))[1].sign
    '>'
    """
    from pushforward.conditions import parse

    try:
        return [parse(text) for text in where]
    except ValueError as error:
        raise UsageError(f"--where: {error}") from None


def _row(entry: Entry, archive: Archive) -> tuple[str, ...]:
    from pushforward.catalogue import row

    about = row(entry, archive)
    members = about["members"]
    return (
        entry.name,
        state(entry.name, archive),
        about["equation"],
        about["grid"],
        "" if members is None else str(members),
        _scored(entry),
        entry.above[0] if entry.above else "",
        _certified(entry, archive),
        str(about["made"] or "")[:16].replace("T", " "),
    )


def _scored(entry: Entry) -> str:
    """How many of an evaluation's scores are outside, and the one farthest from its floor."""
    numbers = dict(entry.scores)
    outside, count = numbers.pop("outside", None), numbers.pop("scores", None)
    if count is None or not numbers:
        return ""
    name, ratio = max(numbers.items(), key=lambda one: one[1])
    return f"{outside} of {count} outside, {name} {ratio:.3g} x floor"


def _certified(entry: Entry, archive: Archive) -> str:
    """The error that a simulation's certificate found, and whether that is too much."""
    from pushforward.certificate import read

    if entry.kind != "simulation":
        return ""
    found = read(archive.folder(entry.name))
    if found is None:
        return "none"
    return f"{found.worst.error:.1g}" + ("" if found.converged else ", not converged")


def state(name: str, archive: Archive) -> str:
    """How far a result is."""
    if archive.sealed(name):
        return "complete"
    total = len(archive.blocks(name))
    return f"{total - len(archive.missing(name))} of {total} blocks" if total else "begun"
