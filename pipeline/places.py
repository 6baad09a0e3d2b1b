"""Where an archive lies: a local folder, or a URL of an object store that fsspec knows.

A place is a `Path` or a `UPath`, which has the same methods. Credentials are never part of it: an
archive's place is printed, logged and stored, so keys belong into the environment (AWS_PROFILE,
GOOGLE_APPLICATION_CREDENTIALS, ...) or into fsspec's configuration, where clients look for them.

    fsspec, configuration: https://filesystem-spec.readthedocs.io/en/latest/features.html
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from upath import UPath

from pushforward.credentials import refuse

# A UPath has the methods of a Path without being one; whoever opens a folder is not to care.
if TYPE_CHECKING:
    Place: TypeAlias = Path
else:
    Place = Path | UPath

OWN = ("memory",)  # protocols whose objects are seen by one process only
EXTRAS = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "abfs": "adlfs",
    "az": "adlfs",
}


def place(root: str | Place) -> Place:
    """The place that a path or a URL names.

    Raises ValueError for a URL with credentials in it, for a protocol that nobody knows, and for
    one whose package is not installed.

    >>> place("memory://lab/runs").name, place("runs").name
    ('runs', 'runs')
    """
    if isinstance(root, UPath) and not isinstance(root, Path):
        return cast(Place, root)
    text = str(root)
    refuse(text)
    if "://" not in text:
        return Path(root)
    protocol = text.partition("://")[0]
    try:
        # what another process stored since must be seen
        found = UPath(text, use_listings_cache=False)
        found.fs  # noqa: B018  imports the client
    except ImportError:
        package = EXTRAS.get(protocol, f"fsspec's package for {protocol}")
        raise ValueError(
            f"expected a client of {protocol}:// to be installed, got none; pip install {package}"
        ) from None
    except ValueError as error:
        raise ValueError(
            f"expected a folder, or a URL that fsspec knows, got {text} ({error}); correct it"
        ) from None
    return Path(found.path) if found.protocol in ("file", "local") else cast(Place, found)


def absolute(root: str | Place) -> str:
    """A place, as a process that works in another folder names it.

    >>> absolute("memory://lab/runs")
    'memory://lab/runs'
    """
    found = place(root)
    return str(found.absolute() if isinstance(found, Path) else found)


def for_workers(where: Place, workers: int) -> None:
    """Refuses, with a ValueError, several workers at a place that one process alone can see.

    >>> for_workers(place("runs"), 2), for_workers(place("memory://lab"), 1)
    (None, None)
    """
    if workers > 1 and not isinstance(where, Path) and where.protocol in OWN:
        raise ValueError(
            f"expected one worker for an archive in this process's memory, got {workers}; give "
            "the archive a folder or a bucket, or ask for one"
        )


def array(where: Place) -> Any:
    """The Zarr array at a place, to read."""
    import zarr

    # a format that is named is not looked for: fewer requests
    return zarr.open_array(store(where), mode="r", zarr_format=3)


def group(where: Place) -> Any:
    """The Zarr group at a place, to read."""
    import zarr

    return zarr.open_group(store(where), mode="r", zarr_format=3, use_consolidated=False)


def store(where: Place) -> Any:
    """What Zarr and xarray open a place by."""
    if isinstance(where, Path):
        return where
    from zarr.storage import FsspecStore

    return FsspecStore.from_url(str(where), storage_options=dict(where.storage_options))
