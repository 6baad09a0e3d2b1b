"""Disks that refuse, and disks that lie: full, forbidden, bytes cut off, a bit flipped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from pushforward.archive import Archive
from tests.faults.commands import Command, End
from tests.faults.moments import At
from tests.faults.mounts import mount, unmount
from tests.faults.privilege import renounce
from tests.faults.scene import Bench, Scene
from tests.faults.subject import data
from tests.faults.verdict import (
    FAILED,
    MENDED,
    MISSED,
    Injection,
    complaint,
    differences,
    rejected,
)

PAGE = 4096  # bytes that a disk gives at once


def full(bench: Bench, draw: Random, verb: str) -> Injection:
    """A disk that has no room for the rest of the result; the remedy is to free some."""
    with bench.small.scene(verb) as scene, own_disk(scene):
        ballast = scene.archive.root / "ballast"
        disk, room = os.statvfs(scene.archive.root), draw.randrange(1, _needed(bench, verb))
        ballast.write_bytes(bytes(disk.f_bavail * disk.f_bsize - room // PAGE * PAGE))
        end = scene.run()
        if "No space left" not in end.said:
            return Injection(verb, MISSED)
        return scene.settle(end, remedy=ballast.unlink)


def _needed(bench: Bench, verb: str) -> int:
    """The bytes of a verb's result on a disk, at least."""
    folder = bench.small.clean.folder(bench.small.spec(verb))
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return sum(-(-size // PAGE) * PAGE for size in sizes)


@contextmanager
def own_disk(scene: Scene) -> Iterator[None]:
    """A small disk at the archive's root, with what the verb reads."""
    mount(scene.archive.root, "-t", "tmpfs", "-o", "size=8m", "tmpfs")
    try:
        scene.fill()
        yield
    finally:
        unmount(scene.archive.root)


@dataclass(frozen=True)
class Forbid:
    """Called in a process: nothing can be made or removed in these folders any more."""

    folder: Path

    def __call__(self) -> None:
        for place in (self.folder, *self.folder.rglob("*")):
            if place.is_dir():
                place.chmod(0o555)


@dataclass(frozen=True)
class Bound:
    """Called in a process: permissions hold for it, too, if it is root's, and `fault` is armed."""

    fault: At

    def __call__(self) -> None:
        renounce()
        self.fault()


def forbidden(bench: Bench, draw: Random, verb: str) -> Injection:
    """Permission to write is lost between two durable events; the remedy is to give it again."""
    with bench.small.scene(verb) as scene:
        end = scene.run(arm=Bound(scene.at(draw, Forbid(scene.archive.root))))
        if end.code == 0 and all(os.stat(p).st_mode & 0o200 for p in _folders(scene)):
            return Injection(verb, MISSED)
        return scene.settle(
            end,
            remedy=lambda: [place.chmod(0o755) for place in _folders(scene)],
        )


def _folders(scene: Scene) -> list[Path]:
    root = scene.archive.root
    return [root, *(path for path in root.rglob("*") if path.is_dir())]


def truncated(bench: Bench, draw: Random, verb: str) -> Injection:
    """The end of a file of a sealed result is gone."""
    with bench.small.scene(verb, complete=True) as scene:
        path = _struck(scene, draw)
        whole = path.read_bytes()
        path.write_bytes(whole[: draw.randrange(len(whole))])
        return _mended(scene, path)


def flipped(bench: Bench, draw: Random, verb: str) -> Injection:
    """One bit of a file of a sealed result is another."""
    with bench.small.scene(verb, complete=True) as scene:
        path = _struck(scene, draw)
        values = bytearray(path.read_bytes())
        values[draw.randrange(len(values))] ^= 1 << draw.randrange(8)
        path.write_bytes(values)
        return _mended(scene, path)


def _struck(scene: Scene, draw: Random) -> Path:
    """A file of the result's data, each byte as likely as any other."""
    files = data(scene.result)
    return draw.choices(files, [path.stat().st_size for path in files])[0]


def _mended(scene: Scene, path: Path) -> Injection:
    """The verdict on a damaged file: never read as other numbers, found, and mended."""
    verb, name = scene.verb, scene.spec.name
    wrong = [f"a reader was given other numbers of {path.name}"] if _misleads(scene) else []
    words = ["verify", "--root", str(scene.archive.root)]
    found, mended = (_run(scene, *words, *more) for more in ((), ("--repair",)))
    told = [line for line in found.said.splitlines() if line.startswith(f"{name}: damaged")]
    if found.code != 1 or len(told) != 1:
        wrong.append(f"verify did not find it: {found.code}, {found.said[-300:]!r}")
    if mended.code != 0 or complaint(mended):
        wrong.append(f"verify --repair ended with {mended.code}: {mended.said[-300:]!r}")
    wrong += differences(scene.archive, scene.subject.clean, scene.spec)
    wrong += rejected(scene.archive)
    sentence, why = "".join(told), "; ".join(wrong)
    return Injection(verb, FAILED if wrong else MENDED, sentence, mended.seconds, why)


def _run(scene: Scene, *words: str) -> End:
    command: Command = scene.command(words)
    return command.end()


def _misleads(scene: Scene) -> bool:
    """Whether somebody who only opens the result is given numbers that are not the clean ones."""
    if scene.verb == "train":
        return _weights(scene.archive, scene) not in (None, _weights(scene.subject.clean, scene))
    mine, clean = (_fields(archive, scene) for archive in (scene.archive, scene.subject.clean))
    if mine is None or clean is None:
        return False
    return any(not np.array_equal(mine[name], values) for name, values in clean.items())


def _fields(archive: Archive, scene: Scene) -> dict[str, np.ndarray] | None:
    """The variables that a reader gets; None where it is refused."""
    try:
        dataset = archive.open(scene.spec)
        return {str(name): np.asarray(one.values) for name, one in dataset.data_vars.items()}
    except Exception:  # any refusal will do: what must not be are other numbers
        return None


def _weights(archive: Archive, scene: Scene) -> dict[str, bytes] | None:
    """The weights that a reader gets; None where it is refused."""
    try:
        state = archive.surrogate(scene.spec).state_dict()
    except Exception:  # as above
        return None
    return {name: value.numpy().tobytes() for name, value in state.items()}
