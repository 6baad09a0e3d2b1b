"""Files in a local folder that are whole or absent, and one clear sentence when a disk refuses.

A file is written beside its place under a name ending in ``.partial``, flushed to the disk
(fsync), and moved over its place in one step (rename is atomic on POSIX and NTFS), after which the
folder is flushed too: a kill or a power cut at any instant leaves the old file or the new one, and
at most an orphan `.partial`, which nothing reads and `sweep` removes. No locks are needed: two
writers of the same name each leave a whole file, the later one wins.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

PARTIAL = ".partial"
REMEDIES = {
    "ENOSPC": "free some space",
    "EDQUOT": "free some of the quota",
    "EROFS": "choose a folder that can be written",
    "EACCES": "choose a folder that can be written",
    "EPERM": "choose a folder that can be written",
    "ENOTDIR": "choose a folder, not a file",
    "EEXIST": "choose a folder, not a file",
}


class Stat(NamedTuple):
    """A file: its bytes, and when it was last written (seconds)."""

    size: int
    time: float


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turns the refusal of a disk into an OSError of one sentence that names the path.

    >>> with storing(Path("runs/x")):
    ...     raise OSError(errno.ENOSPC, "disk full")
    Traceback (most recent call last):
    OSError: expected to store runs/x, got "disk full"; free some space and run the same ...
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:  # already a sentence
            raise
        remedy = REMEDIES.get(errno.errorcode.get(error.errno, ""), "check the disk")
        reason = error.strerror or str(error)
        sentence = type(error)(
            f'expected to store {path}, got "{reason}"; {remedy} and run the same command again: '
            "what is stored is kept"
        )
        raise sentence from error


def partial(path: Path) -> Path:
    """A fresh name beside `path` to write to before moving it there."""
    return path.with_name(f"{path.name}.{uuid.uuid4().hex}{PARTIAL}")


def write_bytes(path: Path, data: bytes) -> None:
    """Stores a file atomically and durably, making its folders when needed."""
    with storing(path):
        made = [folder for folder in path.parents if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _replace(path, data)
        except FileNotFoundError:  # another process swept the partial file when it sealed the same
            _replace(path, data)
        folders = {path.parent, *(one.parent for one in made)}
        if len(folders) == 1:
            flush(path.parent)
            return
        with ThreadPoolExecutor(len(folders)) as pool:  # side by side they cost what one does
            deque(pool.map(flush, folders), maxlen=0)


def exists(path: Path) -> bool:
    """Whether there is a file or a folder; OSError where the disk does not say."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def read_bytes(path: Path) -> bytes:
    """The bytes of a file; FileNotFoundError where there is none."""
    return path.read_bytes()


def read_parts(path: Path, places: Sequence[tuple[int, int]]) -> Iterator[bytes]:
    """Some bytes of a file, by (offset, size); fewer where the file is shorter."""
    with path.open("rb", buffering=0) as file:
        for offset, size in places:
            yield os.pread(file.fileno(), size, offset)


def read_tail(path: Path, size: int) -> bytes:
    """The last bytes of a file; fewer where the file is shorter."""
    with path.open("rb", buffering=0) as file:
        return os.pread(file.fileno(), size, max(os.fstat(file.fileno()).st_size - size, 0))


def listing(folder: Path) -> dict[str, Stat]:
    """The files below a folder, by their names from there; none where there is no folder."""
    found = {}
    # os.walk passes over folders that another process moves or removes meanwhile
    for place, _, names in os.walk(folder):
        for path in (Path(place) / name for name in names):
            with suppress(FileNotFoundError):
                about = path.stat()
                name = path.relative_to(folder).as_posix()
                found[name] = Stat(about.st_size, about.st_mtime)
    return found


def remove(path: Path) -> None:
    """Removes a file, if it is there."""
    with storing(path):
        path.unlink(missing_ok=True)


def discard(path: Path, first: str = "") -> None:
    """Removes a file or a folder that disappears whole: it is renamed first (`first` is not)."""
    with storing(path):
        place = partial(path)
        try:
            os.rename(path, place)
        except FileNotFoundError:  # somebody else was faster
            return
        flush(path.parent)
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink()


def link(source: Path, path: Path) -> None:
    """Makes a file that is there appear at `path`, too: linked, or copied between file systems."""
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        place = partial(path)
        try:
            os.link(source, place)
        except OSError:
            write_bytes(path, source.read_bytes())
            return
        os.replace(place, path)
        place.unlink(missing_ok=True)  # of two names of one file, replacing does nothing
        flush(path.parent)


def make_folder(path: Path, fill: Callable[[Path], object], last: str = "") -> None:
    """Makes a folder that appears whole: `fill` fills one beside it; one that is there stays.

    Raises OSError where the disk refuses, and where another process took the one beside it for a
    killed writer's: what is written after that would be half of it.
    """
    if path.exists():
        return
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        place = partial(path)
        try:
            place.mkdir()
            ours, whole = place / "ours", place / "whole"
            ours.touch()
            fill(whole)
            for part in (*whole.rglob("*"), whole):
                flush(part)
            if not ours.exists():  # `fill` may have made the rest of it again
                raise FileNotFoundError(errno.ENOENT, "swept away while it was made")
            os.rename(whole, path)
        except OSError:
            if not path.exists():  # else another process was faster, with the same content
                raise
        finally:
            shutil.rmtree(place, ignore_errors=True)
        flush(path.parent)


def append_line(path: Path, text: str) -> None:
    """Adds one line to a file; a line torn by a kill is cut off first."""
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab+") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - 1, 0))
            if file.read(1) not in (b"", b"\n"):
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
            file.write(text.rstrip("\n").encode() + b"\n")


def flush(path: Path) -> None:
    """Flushes a file or a folder to the disk, where the system can (Windows: files only)."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF, errno.EACCES):
            raise
    finally:
        os.close(descriptor)


def sweep(folder: Path, age: float = 0.0) -> int:
    """Removes the orphans of killed writers that are older than `age` seconds; says how many.

    A writer that lives touches its file all the time, so that an age of minutes spares it. A
    folder is renamed first: who still writes to it finds it gone, and not half of it.
    """
    count = 0
    # os.walk passes over folders that another process moves into place meanwhile
    found = [Path(at) / name for at, dirs, names in os.walk(folder) for name in dirs + names]
    orphans = [path for path in found if path.suffix == PARTIAL]
    present = now(folder) if orphans and age else 0.0
    for path in orphans:
        try:
            if age and present - path.stat().st_mtime < age:
                continue
            if path.is_dir() and not path.is_symlink():
                place = partial(path)
                os.rename(path, place)
                shutil.rmtree(place)
            else:
                path.unlink()
        except FileNotFoundError:  # somebody else swept it, or its writer moved it into place
            continue
        count += 1
    return count


def now(folder: Path) -> float:
    """The time as a folder's file system has it: when a file was made there now.

    Ages of files are told by that clock. This machine's may be ahead, and living writers' files
    would look old. Where nothing can be made it is 0: nothing is old there.
    """
    place = partial(folder / "clock")
    try:
        place.touch()
        return place.stat().st_mtime
    except OSError:
        return 0.0
    finally:
        with suppress(OSError):
            place.unlink(missing_ok=True)


def _replace(path: Path, data: bytes) -> None:
    place = partial(path)
    try:
        with open(place, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(place, path)
    except BaseException:
        with suppress(OSError):  # the first error is the one to tell
            place.unlink(missing_ok=True)
        raise


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
