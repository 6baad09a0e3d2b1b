"""Where a fault is injected: an archive of its own beside a clean one, and commands on it."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

from pushforward.archive import Archive
from pushforward.spec import Evaluation
from tests.faults import subject
from tests.faults.commands import Command, End
from tests.faults.dask_cluster import Cluster
from tests.faults.lab import Server
from tests.faults.moments import At, Count, nothing
from tests.faults.verdict import Injection, settle


class Bench:
    """The scratch folder of all injections, with the clean results that they are compared with.

    A context, after which nothing runs any more that was started for it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *error: object) -> None:
        for part in {"server", "dask", "lone_dask"} & vars(self).keys():
            getattr(self, part).kill()

    @cached_property
    def server(self) -> Server:
        """A Prefect server, not yet started."""
        return Server(self.folder / "prefect")

    @cached_property
    def dask(self) -> Cluster:
        """A Dask cluster of two workers, not yet started."""
        return Cluster(self.folder / "dask", 2)

    @cached_property
    def lone_dask(self) -> Cluster:
        """One of a single worker, which is soon there again."""
        return Cluster(self.folder / "lone-dask", 1)

    @cached_property
    def small(self) -> Subject:
        """The small study."""
        return Subject(self.folder / "small", subject.lineage())

    @cached_property
    def wide(self) -> Subject:
        """The same in many blocks."""
        ensemble = {"members": 48, "batch": 2, "block": 2}
        return Subject(self.folder / "wide", subject.lineage(ensemble, **subject.WIDE))


class Subject:
    """A lineage, its study as a file, and its results as a run leaves them that nothing disturbs.

    `events` and `seconds` are those of each verb's clean run.
    """

    def __init__(self, folder: Path, evaluation: Evaluation) -> None:
        self.folder, self.evaluation = folder, evaluation
        folder.mkdir(parents=True, exist_ok=True)
        self.page = subject.page(folder / "study.yaml", evaluation)
        self.clean = Archive(folder / "clean")
        self.events: dict[str, int] = {}
        self.seconds: dict[str, float] = {}
        self._numbers = itertools.count()
        Command(["--version"], folder / "log").end()  # the fork server starts, off the clock
        for verb in subject.VERBS:
            tally = folder / f"{verb}.events"
            end = Command(self.words(verb, self.clean.root), folder / "log", Count(tally)).end()
            if end.code != 0:
                raise ChildProcessError(f"expected a clean run of {verb}, got {end.said}")
            self.events[verb] = tally.stat().st_size
            self.seconds[verb] = end.seconds

    def words(self, verb: str, root: Path | str, *more: str) -> list[str]:
        """The command of a verb, without Prefect and in one process unless more is said."""
        how = [] if {"--workers", "--cluster"} & {*more} else ["--workers", "1"]
        return [verb, str(self.page), "--root", str(root), "--no-prefect", *how, *more]

    def spec(self, verb: str) -> Any:
        return subject.spec_of(verb, self.evaluation)

    def upstream(self, verb: str) -> list[str]:
        """The names of the results that a verb reads."""
        order = [*subject.VERBS]
        return [self.spec(one).name for one in order[: order.index(verb)]]

    def scene(self, verb: str, complete: bool = False) -> Scene:
        """A fresh archive in which a verb is to be run, or with its result in it."""
        return Scene(self, verb, self.folder / f"scene-{next(self._numbers)}", complete)


@dataclass
class Scene:
    """An archive that holds what a verb reads, and whatever the verb leaves in it."""

    subject: Subject
    verb: str
    folder: Path
    complete: bool = False

    def __post_init__(self) -> None:
        self.archive, self._logs = Archive(self.folder / "archive"), itertools.count()
        self.archive.root.mkdir(parents=True)
        self.fill()

    def __enter__(self) -> Scene:
        return self

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def fill(self) -> None:
        """Copies what the verb reads, and its result where that is wanted."""
        names = self.subject.upstream(self.verb)
        for name in [*names, *([self.spec.name] if self.complete else [])]:
            if not self.archive.folder(name).exists():
                shutil.copytree(self.subject.clean.folder(name), self.archive.folder(name))

    @property
    def spec(self) -> Any:
        return self.subject.spec(self.verb)

    @property
    def result(self) -> Path:
        """The folder of the verb's result."""
        return self.archive.folder(self.spec)

    @property
    def events(self) -> int:
        return self.subject.events[self.verb]

    @property
    def seconds(self) -> float:
        return self.subject.seconds[self.verb]

    def words(self, *more: str) -> list[str]:
        """The verb's command."""
        return self.subject.words(self.verb, self.archive.root, *more)

    def start(self, *more: str, arm: Callable[[], object] = nothing) -> Command:
        """The verb's command, begun."""
        return self.command(self.words(*more), arm)

    def command(self, words: Sequence[str], arm: Callable[[], object] = nothing) -> Command:
        """Any command, begun."""
        return Command(words, self.folder / f"log-{next(self._logs)}", arm)

    def run(self, *more: str, arm: Callable[[], object] = nothing) -> End:
        """The verb's command, to its end."""
        return self.start(*more, arm=arm).end()

    def at(self, draw: Random, action: Callable[[], object]) -> At:
        """The action before a durable event of the verb, drawn at random."""
        return At(draw.randrange(self.events), action)

    def settle(
        self,
        *ends: End,
        again: Callable[[], End] | None = None,
        remedy: Callable[[], object] | None = None,
    ) -> Injection:
        """The verdict on how the verb's commands ended."""
        return settle(
            self.verb,
            self.spec,
            self.archive,
            self.subject.clean,
            ends,
            again or self.run,
            remedy,
        )
