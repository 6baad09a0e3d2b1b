"""Members that are drawn when they are asked for, and stored as `generate` stores them.

The blocks of a virtual ensemble become those of an ordinary generation of its name: whole, with
the bits that `generate` gives them, whatever was asked. Another process reads what is there, and
`generate` makes the rest and seals it. Nothing is made before the first member is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pushforward import files, places
from pushforward.archive import Archive
from pushforward.blocks import compute
from pushforward.drawn import Drawn
from pushforward.generation import template
from pushforward.growth import adopt
from pushforward.shelf import DATA
from pushforward.spec import Generation

_once = Drawn(limit=0)  # two threads that want one block compute it once


def keep(
    generation: Generation,
    archive: Archive,
    members: Iterable[int],
    draw: Callable[[range], xr.Dataset],
) -> None:
    """Sees to it that the blocks of some members are stored; `draw` gives those of a batch.

    Raises OSError, with what to do, for an archive that cannot be written to.
    """
    size = _begun(generation, archive)

    def store(block: int) -> dict[str, NDArray[Any]]:
        compute(generation, archive.root, block, lambda _, batch, __: (draw(batch), None))
        return {}

    for block in sorted({int(member) // size for member in members}):
        if not archive.done(generation, block):
            key = (str(archive.root), generation.name, block)
            _once.get(key, lambda block=block: store(block))


def read(
    generation: Generation, archive: Archive, variable: str, key: Sequence[Any]
) -> NDArray[Any]:
    """What an outer index takes of a variable (member, time, *space); its blocks must be there."""
    array = places.array(archive.folder(generation) / DATA / variable)
    return np.asarray(array.oindex[tuple(key)])


def _begun(generation: Generation, archive: Archive) -> int:
    """Makes the result's folder where it is not there; returns the members of a block.

    Whole blocks of the same ensemble with another number of members are taken.
    """
    # the arrays are made after the spec, and another thread may be between the two
    if not files.exists(archive.folder(generation) / DATA / "zarr.json"):
        try:
            archive.create(generation, template(generation))
        except OSError as error:
            reason = getattr(error.__cause__, "strerror", None) or error
            raise OSError(
                f'expected an archive to keep members in, got "{reason}" from {archive.root}; '
                "leave keep out, and they are drawn without being stored"
            ) from error
        adopt(generation, archive)
    return archive.size(generation)[1]
