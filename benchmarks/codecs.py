"""What compression takes and gives: bytes on disk, and time to write and to read a frame.

Frames of 128 x 128 of studies of the catalogue, one chunk each, in float32 go through the codecs
that Zarr has, in the memory of one thread: no disk, no checksum. Times are of the processor, the
best of some rounds. Half precision stands beside them, which loses digits: by how much of a field.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numcodecs.blosc import BITSHUFFLE, NOSHUFFLE, SHUFFLE, Blosc
from numcodecs.zstd import Zstd
from numpy.typing import NDArray

from benchmarks.markdown import number, table
from pushforward import layout
from pushforward.study import Study

STUDIES, MEMBERS, SHAPE, ROUNDS = ("navier_stokes", "gray_scott"), 8, (128, 128), 9
CODECS: dict[str, Any] = {
    "Zstandard 1": Zstd(level=1),
    "Zstandard 3": Zstd(level=3),
    "Blosc, Zstandard 1, bytes shuffled": Blosc("zstd", 1, SHUFFLE),
    "Blosc, LZ4, bytes shuffled": Blosc("lz4", 5, SHUFFLE),
    "Blosc, LZ4, bits shuffled": Blosc("lz4", 5, BITSHUFFLE),
    "Blosc, no compression": Blosc("lz4", 0, NOSHUFFLE),
}
HALF = "Blosc, LZ4, bytes shuffled, float16"


class Trial(NamedTuple):
    """A codec on the frames of a study: share of bytes kept, microseconds a frame, error."""

    kept: float
    write: float
    read: float
    lost: float


def frames(study: str) -> list[NDArray[np.float32]]:
    """All fields of a few members of a page of the catalogue."""
    shape = ", ".join(map(str, SHAPE))
    simulation = Study.load(study, [f"simulation.grid.shape=[{shape}]"]).simulation
    fields = simulation.problem().solve(range(MEMBERS), simulation.seed)
    return [*fields.float().reshape(-1, *SHAPE).numpy()]


def trial(codec: Any, some: Sequence[NDArray[np.float32]], half: bool = False) -> Trial:
    """Compresses frames and takes them back, in rounds."""
    kind = np.float16 if half else np.float32
    target = np.empty(SHAPE, kind)

    def write(frame: NDArray[np.float32]) -> Any:
        return codec.encode(np.ascontiguousarray(frame, kind))

    def read(stored: Any) -> None:
        codec.decode(stored, target)
        if half:
            target.astype(np.float32)

    stored = [write(frame) for frame in some]
    lost = [np.abs(x.astype(kind).astype(np.float32) - x).max() / np.abs(x).max() for x in some]
    size = sum(len(one) for one in stored) / sum(frame.nbytes for frame in some)
    return Trial(size, took(write, some), took(read, stored), float(max(lost)))


def took(function: Callable[[Any], object], items: Sequence[Any]) -> float:
    """Microseconds of the processor for an item, in the best round."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.thread_time()
        for item in items:
            function(item)
        rounds.append(time.thread_time() - start)
    return 1e6 * min(rounds) / len(items)


def trials() -> dict[str, list[Trial]]:
    """Every codec on every study."""
    fields = [frames(study) for study in STUDIES]
    found: dict[str, list[Trial]] = {}

    def work() -> None:
        for name, codec in CODECS.items():
            found[name] = [trial(codec, some) for some in fields]
        found[HALF] = [trial(own(itemsize=2), some, half=True) for some in fields]

    # Blosc asks for threads of its own when the main one calls it
    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    return found


def own(itemsize: int = 4) -> Any:
    """What archives are compressed by."""
    how = layout.compressors(itemsize)[0].to_dict()["configuration"]
    shuffle = {"shuffle": SHUFFLE, "bitshuffle": BITSHUFFLE, "noshuffle": NOSHUFFLE}
    return Blosc(how["cname"], how["clevel"], shuffle[how["shuffle"]], typesize=itemsize)


def section(found: dict[str, list[Trial]]) -> str:
    """The table, and what archives use."""
    rows = []
    for name, results in found.items():
        used = name in CODECS and same(CODECS[name], own())
        kept = [f"{one.kept:.1%}" for one in results]
        times = [number(max(getattr(one, what) for one in results)) for what in ("write", "read")]
        lost = max(one.lost for one in results)
        label = f"**{name}**" if used else name
        rows.append([label, *kept, *times, f"{lost:.0e}" if lost else "nothing"])
    studies = [f"bytes kept, {study}" for study in STUDIES]
    head = ["codec", *studies, "microseconds to write", "to read", "lost, of the largest value"]
    return f"""## What a chunk is compressed by

{len(STUDIES) * MEMBERS} members of the catalogue's pages, a frame a chunk; microseconds of the \
processor for a frame, of the dearer page; in bold what archives use.

{table(head, rows)}

What is stored must be what was solved, so that half precision is no choice. Archives made with \
Zstandard are read as before."""


def same(one: Any, other: Any) -> bool:
    """Whether two codecs make the same bytes."""
    names = ("codec_id", "cname", "clevel", "shuffle")
    return all(getattr(one, name, None) == getattr(other, name, None) for name in names)
