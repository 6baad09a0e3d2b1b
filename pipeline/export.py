"""An archive's ensembles as an Intake catalogue (version 1 of its YAML), for other tools.

    sources:
      generation-1a2b3c4d5e:
        driver: zarr
        args: {urlpath: ..., consolidated: false}
        metadata: {equation: ..., members: ..., certificate: ..., ...}

What has arrays and is complete is a source. The arguments are those of `xarray.open_zarr` too, so
that the file is of use without Intake, which is no dependency. Fields on the critical grid come as
they are stored, on fewer points; `storage` in the metadata says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from pushforward import files
from pushforward.archive import Archive
from pushforward.catalogue import row
from pushforward.conditions import Condition
from pushforward.shelf import DATA


def intake(archive: Archive, *words: str | Condition, **where: Any) -> dict[str, Any]:
    """The catalogue as values, of the results that meet all conditions (`Archive.search`).

    >>> import tempfile
    >>> intake(Archive(tempfile.mkdtemp()))["sources"]
    {}
    """
    return {
        "metadata": {"version": 1},
        "sources": {
            entry.name: _source(archive, row(entry, archive), entry.spec.get("storage"))
            for entry in archive.search(*words, **where)
            if entry.sealed and files.exists(archive.folder(entry.name) / DATA)
        },
    }


def export(archive: Archive, path: Path, *words: str | Condition, **where: Any) -> int:
    """Writes the catalogue to a file, whole or not at all; returns how many sources it has."""
    values = intake(archive, *words, **where)
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    files.write_bytes(path, text.encode())
    return len(values["sources"])


def _source(archive: Archive, about: dict[str, Any], storage: str | None) -> dict[str, Any]:
    place = archive.folder(about["name"]) / DATA
    metadata = {key: value for key, value in about.items() if value is not None}
    metadata |= {"storage": storage} if storage else {}
    return {
        "description": f"{about['kind']} of {about['equation']}, {about['members']} members",
        "driver": "zarr",
        "args": {"urlpath": str(place.absolute()), "consolidated": False},
        "metadata": metadata,
    }
