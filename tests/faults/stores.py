"""An object store that fails now and then: requests are refused, time out, or take their time.

`faulty://` is a file system of fsspec whose objects lie in a local folder. A put is whole or
absent, as in an object store; but an answer may be lost on its way back, so that what was stored
is told to have failed.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.local import LocalFileSystem

from tests.faults.scene import Bench
from tests.faults.verdict import MISSED, Injection

PROTOCOL = "faulty"
REFUSALS: tuple[Callable[[], OSError], ...] = (
    lambda: OSError("503 Slow Down"),
    lambda: TimeoutError("the request timed out"),
    lambda: ConnectionResetError("the connection was reset"),
)
SLOW = 0.2  # seconds, of the slowest answer


class FaultyFileSystem(LocalFileSystem):
    """Objects in a local folder; `rate` of the requests fail or are slow, as `draw` decides."""

    protocol = PROTOCOL
    cachable = False
    rate: ClassVar[float] = 0.0
    draw: ClassVar[Random] = Random(0)
    tally: ClassVar[int | None] = None  # a file that is given a byte for every fault

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        return LocalFileSystem._strip_protocol(os.fspath(path).removeprefix(f"{PROTOCOL}://"))

    def unstrip_protocol(self, name: str) -> str:
        return f"{PROTOCOL}://{self._strip_protocol(name)}"

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
        place = Path(self._strip_protocol(path))
        late = self._ask()
        if not place.parent.is_dir():
            raise FileNotFoundError(str(place.parent))
        # beside the archive's names, and moved into place: whole or absent
        fresh = place.with_name(f".{uuid.uuid4().hex}")
        fresh.write_bytes(value)
        os.replace(fresh, place)
        if late is not None:
            raise late

    def cat_file(self, path: str, *arguments: Any, **options: Any) -> bytes:
        self._ask(putting=False)
        found: Any = super().cat_file(path, *arguments, **options)
        return found

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        self._ask(putting=False)
        return super().info(path, **options)

    def ls(self, path: str, detail: bool = False, **options: Any) -> list[Any]:
        self._ask(putting=False)
        return super().ls(path, detail=detail, **options)

    def rm_file(self, path: str) -> None:
        self._ask(putting=False)
        super().rm_file(path)

    def cp_file(self, path1: str, path2: str, **options: Any) -> None:
        self._ask(putting=False)
        super().cp_file(path1, path2, **options)

    def _ask(self, putting: bool = True) -> OSError | None:
        """One request: raises, waits, or returns what is to be raised after it has been done."""
        if self.draw.random() >= self.rate:
            return None
        if self.tally is not None:
            os.write(self.tally, b".")
        if self.draw.random() < 0.5:
            time.sleep(self.draw.uniform(0, SLOW))
            return None
        refusal = self.draw.choice(REFUSALS)()
        if putting and self.draw.random() < 0.5:
            return refusal
        raise refusal


@dataclass(frozen=True)
class Faulty:
    """Called in a process: `faulty://` is known there, and that share of its requests fails."""

    rate: float = 0.0
    seed: int = 0
    tally: Path | None = None

    def __call__(self) -> None:
        FaultyFileSystem.rate, FaultyFileSystem.draw = self.rate, Random(self.seed)
        if self.tally is not None:
            FaultyFileSystem.tally = os.open(self.tally, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        fsspec.register_implementation(PROTOCOL, FaultyFileSystem, clobber=True)


def store(bench: Bench, draw: Random, verb: str) -> Injection:
    """A share of all requests fails or is slow; the remedy is that they do not any more."""
    with bench.small.scene(verb) as scene:
        tally = scene.folder / "faults"
        words = bench.small.words(verb, f"{PROTOCOL}://{scene.archive.root}")
        rate = 10 ** draw.uniform(-2.5, -0.5)
        end = scene.command(words, Faulty(rate, draw.randrange(2**31), tally)).end()
        if not tally.exists() or not tally.stat().st_size:
            return Injection(verb, MISSED)
        return scene.settle(end, again=lambda: scene.command(words, Faulty()).end())
