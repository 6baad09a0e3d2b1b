"""Published files, found or fetched: a folder of the user's, else a cache that pooch fills.

    1. a file of that name anywhere within the folder that is given
    2. else within the folder that the environment names in PUSHFORWARD_DATA
    3. else the one in pooch's cache folder, fetched there from its URL

A file's checksum decides what it is. One that was packed again has another, so that of what a
.gz unpacks to does as well, where it is known; by that also the unpacked file, without the .gz, is
found. Only https and ftp are spoken, nothing is fetched whose checksum is not known, and a folder
of the user's is never written to.

    Uieda et al., Pooch, JOSS 5 (2020), doi:10.21105/joss.01943
"""

from __future__ import annotations

import ftplib
import gzip
import hashlib
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from glob import escape
from pathlib import Path
from types import ModuleType
from typing import Any

from pushforward.image_files import Bounded

FOLDER = "PUSHFORWARD_DATA"
PROTOCOLS = ("https", "ftp")
_SEEN: dict[tuple[Path, str], Path] = {}


def extra(package: str) -> ModuleType:
    """A package of the extra `images`.

    Raises LookupError, with what to install, where there is none.

    >>> extra("nothing_of_that_name")
    Traceback (most recent call last):
    LookupError: expected the package nothing_of_that_name to be installed, got none; ...
    """
    from importlib import import_module

    try:
        return import_module(package)
    except ImportError:
        raise LookupError(
            f"expected the package {package} to be installed, got none; pip install "
            '"pushforward[images]"'
        ) from None


def folders(location: str | None) -> list[Path]:
    """The folders to look in: the one given, then the environment's.

    Raises ValueError for one that is given and is none.

    >>> folders("nowhere")
    Traceback (most recent call last):
    ValueError: expected a folder, got nowhere; give simulation.location=FOLDER, or mend ...
    """
    found = [Path(each) for each in (location, os.environ.get(FOLDER)) if each]
    for folder in found:
        if not folder.is_dir():
            raise ValueError(
                f"expected a folder, got {folder}; give simulation.location=FOLDER, or mend "
                f"${FOLDER}"
            )
    return found


def find(
    name: str,
    location: str | None = None,
    url: str | None = None,
    sha256: str | None = None,
    *,
    contents: str | None = None,
    hint: str = "",
    protocols: Sequence[str] = PROTOCOLS,
) -> Path:
    """The path of a published file: in a folder, else in the cache, fetched if need be.

    `location` is a folder, or the URL of one, which is asked in place of the publisher's.
    `sha256` is the file's checksum ("md5:..." for one of another kind), `contents` that of what a
    .gz unpacks to: either will do. `hint` says where a file is that has no URL.

    Raises ValueError for a name that is a path, a folder that is none, a file of another checksum,
    and a URL of another protocol or without a checksum; OSError where there is no file and no way
    to it; LookupError where pooch is not installed.

    >>> find("images.gz", ".")
    Traceback (most recent call last):
    FileNotFoundError: expected images.gz in ., got none; give simulation.location=FOLDER
    """
    if name != Path(name).name or name in ("", ".", ".."):
        raise ValueError(f"expected the name of a file, got {name!r}; give its folder as location")
    if location is not None and "://" in location:  # of a folder elsewhere
        location, url = None, f"{location.rstrip('/')}/{name}"
    where = folders(location)
    # an unpacked file has a checksum of its own, and is taken for nothing where that is not known
    unpacked_too = name.endswith(".gz") and bool(contents or not sha256)
    names = [name, name.removesuffix(".gz")] if unpacked_too else [name]
    for folder in where:
        for each in names:
            path = _within(folder, each)
            if path is not None:
                _check(path, sha256 if each == name else None, contents)
                return path
    looked = " or ".join(str(folder) for folder in where) or f"${FOLDER}, which is not set"
    if url is None:
        raise FileNotFoundError(
            f"expected {name} in {looked}, got none; {hint}give simulation.location=FOLDER"
        )
    return _fetch(name, looked, url, sha256, protocols)


def _within(folder: Path, name: str) -> Path | None:
    """The first file of that name in a folder; where one was is looked at first."""
    known = _SEEN.get((folder.absolute(), name))
    if known is None or not known.is_file():
        found = sorted(path for path in folder.rglob(escape(name)) if path.is_file())
        if not found:
            return None
        known = _SEEN[folder.absolute(), name] = found[0]
    return known


def _fetch(name: str, looked: str, url: str, sha256: str | None, protocols: Sequence[str]) -> Path:
    """A file in the cache, got by pooch where none there has the checksum."""
    protocol = url.partition("://")[0]
    if protocol not in protocols or sha256 is None:
        raise ValueError(
            f"expected a URL of {' or '.join(protocols)} and a checksum, got {url} and {sha256}; "
            "fetch the file yourself and give simulation.location=FOLDER"
        )
    pooch: Any = extra("pooch")
    known = cache() / name
    if known.is_file() and _has(*stamp(known), sha256, False):
        return known
    try:
        return Path(pooch.retrieve(url, sha256, fname=name, path=known.parent))
    except (OSError, EOFError, ftplib.Error) as error:
        reason = f"{type(error).__name__}: {error}".split("\n")[0]
        raise OSError(
            f"expected {name} in {looked} or from {url}, got {reason}; "
            "give simulation.location=FOLDER"
        ) from None
    except ValueError as error:
        raise ValueError(
            f"expected {name} of checksum {sha256} from {url}, got another file ({error}); "
            "fetch it yourself and give simulation.location=FOLDER"
        ) from None


def cache() -> Path:
    """The folder that is downloaded and unpacked to."""
    return Path(extra("pooch").os_cache("pushforward"))


def stamp(path: Path) -> tuple[str, int, int]:
    """What tells that a file is still the same one: its place, size and time.

    >>> Path("a").write_bytes(b"image")
    5
    >>> stamp(Path("a"))[1]
    5
    """
    about = path.stat()
    return str(path.resolve()), about.st_size, about.st_mtime_ns


def unpacked(source: Any, of: Path, name: str, most: int) -> Path:
    """A file in the cache that holds a stream: part `name` of the archive or .gz `of`.

    It is written once, beside its place and then moved there, whoever else does the same. The
    name in the cache is made of a checksum, never of what an archive says.

    Raises ValueError for streams of more than `most` bytes.
    """
    key = hashlib.sha256(repr((stamp(of), name)).encode()).hexdigest()
    path = cache() / f"unpacked-{key[:32]}"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    number, part = tempfile.mkstemp(dir=path.parent, prefix="part-")
    try:
        with os.fdopen(number, "wb") as file:
            shutil.copyfileobj(Bounded(source, most, f"{name} of {of}"), file, 1 << 20)
        os.replace(part, path)
    finally:
        Path(part).unlink(missing_ok=True)
    return path


def _check(path: Path, checksum: str | None, contents: str | None) -> None:
    """Raises ValueError for a file with neither checksum, where there is one."""
    wanted = [one for one in (checksum, contents) if one]
    if wanted and not any(_has(*stamp(path), one, one is contents) for one in wanted):
        kind = _kind(wanted[0])[0]
        raise ValueError(
            f"expected {path} to have the {kind} {_kind(wanted[0])[1]}, got "
            f"{_digest(path, kind, wanted[0] is contents)}; take the file as it is published, or "
            "give another simulation.location=FOLDER"
        )


@lru_cache(maxsize=256)
def _has(path: str, size: int, time: int, checksum: str, inside: bool) -> bool:
    kind, value = _kind(checksum)
    return _digest(Path(path), kind, inside) == value


def _kind(checksum: str) -> tuple[str, str]:
    kind, _, value = checksum.rpartition(":")
    return kind or "sha256", value.lower()


def _digest(path: Path, kind: str, inside: bool) -> str:
    """The checksum of a file, or of what a .gz holds."""
    digest = hashlib.new(kind, usedforsecurity=False)
    try:
        for some in _pieces(path, inside):
            digest.update(some)
    except (EOFError, OSError, zlib.error) as error:
        return f"what cannot be read ({error})"
    return digest.hexdigest()


def _pieces(path: Path, inside: bool) -> Iterator[bytes]:
    with path.open("rb") as raw:
        packed = inside and path.name.endswith(".gz")
        stream = gzip.GzipFile(fileobj=raw) if packed else raw
        while some := stream.read(1 << 20):
            yield some
