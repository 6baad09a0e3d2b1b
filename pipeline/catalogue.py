"""What an archive holds as a table: one row a result, for pandas and xarray.

    name, kind, complete                  the result
    equation, grid, members, seed         what it is of; the equation's numbers under their names
    surrogate                             the preset, of trainings and what follows from them
    simulation, training, generation      the names of its lineage, its own among them
    certificate                           the largest error that `pushforward check` found
    outside, scores, w1, ...              of evaluations (see `outcome`)
    seconds, bytes, made, code            what it cost, and when and by which commit it was made

What a result does not have is empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pushforward import certificate, files
from pushforward.conditions import Condition
from pushforward.entries import UPSTREAM, down, origin, subject
from pushforward.places import Place

if TYPE_CHECKING:
    import pandas as pd

    from pushforward.archive import Archive
    from pushforward.entries import Entry


def table(archive: Archive, *words: str | Condition, **where: Any) -> pd.DataFrame:
    """The results that meet all conditions (see `Archive.search`), by name.

    >>> import tempfile
    >>> from pushforward.archive import Archive
    >>> table(Archive(tempfile.mkdtemp())).empty
    True
    """
    import pandas as pd

    rows = [
        {**row(entry, archive), "bytes": _size(archive.folder(entry.name))}
        for entry in archive.search(*words, **where)
    ]
    columns = list(dict.fromkeys(key for one in rows for key in one))
    last = [name for name in ("seconds", "bytes", "made", "code") if name in columns]
    order = [*(name for name in columns if name not in last), *last]
    return pd.DataFrame(rows, columns=order).set_index("name") if rows else pd.DataFrame()


def row(entry: Entry, archive: Archive) -> dict[str, Any]:
    """One result by column, without its bytes, which take a walk through its folder."""
    simulation, seal = origin(entry.spec), entry.manifest or {}
    names = dict.fromkeys(UPSTREAM) | {one.partition("-")[0]: one for one in entry.above}
    names |= {entry.kind: entry.name} if entry.kind in names else {}
    training = None if entry.kind == "simulation" else down(entry.spec, UPSTREAM[:2])
    found = certificate.read(archive.folder(entry.name)) if entry.kind == "simulation" else None
    made = seal.get("provenance", {})
    return {
        "name": entry.name,
        "kind": entry.kind,
        "complete": entry.sealed,
        "equation": subject(simulation)["kind"],
        "grid": "x".join(map(str, entry.shape)),
        "members": entry.spec.get("members"),
        "seed": entry.spec.get("seed"),
        **_numbers(subject(simulation)),
        "surrogate": training["surrogate"]["preset"] if training else None,
        **dict(reversed(names.items())),
        "certificate": None if found is None else found.worst.error,
        **entry.scores,
        "seconds": seal.get("seconds"),
        "made": made.get("time"),
        "code": (made.get("code") or {}).get("commit"),
    }


def _size(folder: Place) -> int:
    """The bytes of all files in a folder."""
    return sum(one.size for one in files.listing(folder).values())


def _numbers(equation: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of an equation by name."""
    return {key: value for key, value in equation.items() if isinstance(value, (int, float))}
