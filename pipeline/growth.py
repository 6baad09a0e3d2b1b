"""A result that grows: blocks that another one of the same lineage has are taken, not computed.

Raising `members` names another result, and everything else about a member stays what it was: it is
addressed by its number, and blocks and batches begin at multiples of their size. So every whole
block of a smaller (or larger) result is, to the bit, the block of this one. It is checked against
its checksum and then linked, where the file system can, or copied; markers keep saying who
computed it and when.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pushforward import bounds, files
from pushforward.archive import Archive
from pushforward.lineage import Spec
from pushforward.progress import say
from pushforward.shelf import SPEC
from pushforward.spec import Simulation


def adopt(spec: Spec, archive: Archive) -> int:
    """Takes what is missing of a result from others that differ in their number of members alone.

    The result must have been created. Returns the number of blocks that were taken; damaged ones
    are left to be computed.
    """
    taken = 0
    for other in relatives(spec, archive):
        missing = archive.missing(spec)
        if not missing:
            break
        if bounds.stray(archive.folder(other), archive.root):  # its blocks may not be its own
            continue
        size, theirs = archive.size(spec)[1], archive.size(other)[1]
        if size != theirs:
            say(
                f"{spec.name}: the members of {other} lie in blocks of {theirs}, not of {size}: "
                f"they are computed again; give the study `block: {theirs}` to take them"
            )
            continue
        have = {*archive.blocks(other)} - {*archive.missing(other)}
        some = sum(archive.take(spec, block, other) for block in missing if block in have)
        if some:
            say(f"{spec.name}: {some} blocks are those of {other}")
        taken += some
    return taken


def relatives(spec: Spec, archive: Archive) -> Iterator[str]:
    """The results that differ from one in their number of members alone, by name."""
    own = _but_members(spec)
    for path in sorted(archive.root.glob(f"{spec.kind}-*/{SPEC}")):
        name = path.parent.name
        if name == spec.name:
            continue
        try:
            other = archive.stored(name)
        except (OSError, ValueError, LookupError):  # damaged, or of a later version
            continue
        if _but_members(other) == own:
            yield name


def _but_members(spec: Spec) -> dict[str, Any]:
    return {key: value for key, value in spec.identity().items() if key != "members"}


def grown(simulation: Simulation, archive: Archive, by: int) -> Simulation:
    """The simulation with more members: `by` more than the largest complete one there is.

    One that is larger and was begun is gone on with first, so that runs which are killed do not
    pile up. Members are filled up to a whole block; without any, the simulation is as it is.

    Raises ValueError for less than one member more.
    """
    if by < 1:
        raise ValueError(f"expected to grow by at least 1 member, got {by}; raise it")
    there = {
        archive.size(name)[0]: archive.sealed(name)
        for name in (simulation.name, *relatives(simulation, archive))
        if files.exists(archive.folder(name) / SPEC)
    }
    if not there:
        return simulation
    most = max(there)
    block = archive.size(simulation)[1]
    members = -(-(most + by) // block) * block if there[most] else most
    return simulation.model_copy(update={"members": members})
