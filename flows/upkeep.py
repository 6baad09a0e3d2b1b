"""The commands that keep an archive in order: verify and gc."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from pushforward.flows.browse import RUNS, Root, state
from pushforward.flows.usage import UsageError, loaded_all, sentence

FLAG = Parameter(negative="", show_default=False)


def verify(
    name: str | None = None,
    /,
    *,
    root: Root = RUNS,
    repair: Annotated[bool, FLAG] = False,
    workers: int = 1,
) -> int:
    """Read results back and compare them with their checksums; exits with 1 where they differ.

    Parameters
    ----------
    name
        A result, or the beginning of its name; all of them by default.
    root
        Folder of the archive.
    repair
        Make again what is damaged: exactly those blocks, or the whole of what has no blocks.
    workers
        Processes for blocks that are made again.
    """
    from pushforward.archive import Archive
    from pushforward.entries import names
    from pushforward.files import Damaged
    from pushforward.repair import repair as mend
    from pushforward.spec import KINDS

    archive = Archive(root)
    order = [*KINDS]  # upstream first: the others are made of it
    # by their folders: a damaged one may not say what it is
    found = [one for one in names(archive.root) if one.startswith(name or "")]
    if name and len(found) != 1:
        found = [archive.find(name).name]
    damaged = 0
    for one in sorted(found, key=lambda one: order.index(one.partition("-")[0])):
        try:
            faults = archive.verify(one)
            told = "intact" if archive.sealed(one) else state(one, archive)
            if faults:
                told = f"damaged: {', '.join(faults)}"
            if faults and repair:
                mend(one, archive, workers=workers)
                told += "; made again"
            damaged += bool(faults) and not repair
        except (
            Damaged,
            ValueError,
            KeyError,
            TypeError,
        ) as error:  # its spec: not mended
            told = f"damaged: {sentence(error)}"
            damaged += 1
        print(f"{one}: {told}")
    return 1 if damaged else 0


def gc(*studies: str, root: Root = RUNS, yes: Annotated[bool, FLAG] = False) -> int:
    """Remove what nobody will ask for: remains of killed writers, and results of other studies.

    Parameters
    ----------
    studies
        YAML files, or names in the catalogue: results that are in none of them, nor upstream of
        one, are removed. Without any, only remains are.
    root
        Folder of the archive.
    yes
        Do not ask.
    """
    from rich.filesize import decimal
    from rich.prompt import Confirm

    from pushforward.archive import Archive
    from pushforward.garbage import garbage

    every = [one.evaluation for study in studies for one in loaded_all(study).values()]
    found = garbage(Archive(root), every)
    if not found:
        print(f"{root}: nothing to remove")
        return 0
    for one in found:
        print(f"{one.path}  {decimal(one.size)}  {one.reason}")
    total = f"{len(found)} of these, {decimal(sum(one.size for one in found))}"
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"expected --yes where nobody can be asked, to remove {total}")
        if not Confirm.ask(f"Remove {total}?", default=False):
            return 1
    for one in found:
        one.remove()
    print(f"removed {total}")
    return 0
