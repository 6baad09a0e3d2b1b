"""What lies inside a folder and what does not: names and links that somebody else has written.

A manifest names files, and an archive that was copied from elsewhere may hold links. Neither may
lead a command that checks, mends or removes to anything beyond the result it was asked about.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from pushforward.places import Place


def inside(name: object) -> bool:
    """Whether a name, as a manifest has it, is that of a file below its own folder.

    >>> [inside(name) for name in ("data.zarr/zarr.json", "../../x", "/etc/passwd", "a/../../b")]
    [True, False, False, False]
    """
    if not isinstance(name, str) or not name or "\0" in name or "\\" in name:
        return False
    parts = PurePosixPath(name).parts
    return parts[:1] != ("/",) and bool(parts) and ".." not in parts


def stray(folder: Place, root: Place) -> Path | None:
    """The first link of a folder, or the folder itself, that leads out of a root; None without.

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> (root / "away").symlink_to("/")
    >>> stray(root / "away", root).name
    'away'
    """
    if not isinstance(folder, Path):  # an object store has no links
        return None
    base = os.path.realpath(root)

    def away(path: Path) -> bool:
        links = path.is_symlink()
        return links and os.path.commonpath([base, os.path.realpath(path)]) != base

    if away(folder):
        return folder
    walk = os.walk(folder)  # which follows no links below
    parts = (Path(place) / name for place, folders, names in walk for name in [*folders, *names])
    return next(filter(away, parts), None)


def keep_inside(folder: Place, root: Place) -> None:
    """Raises OSError for a folder that a link leads out of a root."""
    if link := stray(folder, root):
        raise OSError(
            f"expected {folder} to lie in {root}, got a link {link} to {os.path.realpath(link)}; "
            "replace it by what it points to"
        )
