"""Codes side by side: settings that reach the targets, then seconds, in interleaved rounds."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.store import Store

from .cases import TARGETS, Case
from .codes import Entry, entries
from .search import Found, Search
from .workers import ROOT, Failed, Worker, Workers

ROUNDS = 7
BURST = 0.2  # seconds that one timing takes at least, where the whole solution takes longer
Say = Callable[[str], None]


@dataclass
class Row:
    """What a table says of one code, case and precision.

    `found` are the settings by target, `milliseconds` what a member and unit of time takes there;
    `step` is the milliseconds of one step of the whole batch; `notes` what the code says of
    itself; `failed` why there is nothing.
    """

    entry: str
    version: str = ""
    failed: str = ""
    found: dict[str, Found] = field(default_factory=dict)
    milliseconds: dict[str, float] = field(default_factory=dict)
    step: float | None = None
    notes: dict[str, dict[str, Any]] = field(default_factory=dict)


class Bench:
    """One case in one precision: all its entries."""

    def __init__(self, case: Case, dtype: str, workers: Workers, store: Store, say: Say) -> None:
        self.case, self.dtype, self.workers = case, dtype, workers
        self.store, self.say = store, say
        self.rows = {name: entry for name, entry in entries(case).items() if dtype in entry.dtypes}

    def run(self, rounds: int = ROUNDS) -> list[Row]:
        """All rows, from the store where nothing changed since."""
        found = {name: self._searched(name, entry) for name, entry in self.rows.items()}
        key = self._key("timed", *(str(asdict(row)) for row in found.values()), str(rounds))
        if key not in self.store:
            self._timed(found, rounds)
            self.store[key] = [asdict(row) for row in found.values()]
        return [_row(values) for values in self.store[key]]

    def _searched(self, name: str, entry: Entry) -> Row:
        try:
            worker = self.workers.get(entry, self.dtype)
        except Failed as reason:
            return Row(name, failed=str(reason))
        version = sources() if entry.ours else worker.version
        key = self._key("search", name, str(entry), version)
        if key not in self.store:
            self.say(f"{self.case.name} {self.dtype} {name}: searching")
            row = Row(name, worker.version)
            try:
                self._search(row, entry, worker)
            except Failed as reason:
                row.failed = str(reason)
            self.store[key] = asdict(row)
        return _row(self.store[key])

    def _search(self, row: Row, entry: Entry, worker: Worker) -> None:
        seen: dict[float, dict[str, Any]] = {}

        def solve(setting: float) -> dict[str, Any]:
            try:
                seen[setting] = worker.ask("solve", row.entry, self.case, setting=setting)
            except Failed as reason:
                if not seen:
                    raise
                return {"error": None, "seconds": 0.0, "notes": {"refused": str(reason)}}
            return seen[setting]

        search = Search(solve, entry.order, entry.adaptive)
        for target in TARGETS:
            start = target if entry.adaptive else self.case.guess
            row.found[str(target)] = one = search.target(target, start)
            row.notes[str(target)] = seen.get(one.setting, {}).get("notes", {})

    def _timed(self, rows: dict[str, Row], rounds: int) -> None:
        jobs = [job for row in rows.values() for job in self._jobs(row)]
        for _ in range(rounds):
            for job in jobs:
                job.seconds = min(job.seconds, job.once())
        self.say(f"{self.case.name} {self.dtype}: {len(jobs)} timings in {rounds} rounds")
        for job in jobs:
            self._told(rows[job.name], job)

    def _jobs(self, row: Row) -> Iterator[Job]:
        if row.failed:
            return
        entry = self.rows[row.entry]
        worker = self.workers.get(entry, self.dtype)
        worker.ask("compile", row.entry, self.case)
        settings = sorted({one.setting for one in row.found.values()})
        for setting in settings[-1:] if entry.slow else settings:
            job = Job(row.entry, worker, self.case, setting)
            job.choose(entry)
            yield job

    def _told(self, row: Row, job: Job) -> None:
        entry = self.rows[job.name]
        members = entry.members or self.case.members
        whole = 1e3 * job.seconds / job.share
        if not entry.adaptive:
            row.step = min(row.step or math.inf, whole / job.setting)
        for target, one in row.found.items():
            if one.reached and (entry.slow or one.setting == job.setting):
                time = whole * (one.setting / job.setting if entry.slow else 1)
                row.milliseconds[target] = time / members / self.case.time

    def _key(self, *parts: str) -> str:
        text = "|".join((str(self.case), self.dtype, *parts))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass
class Job:
    """One code at one setting, to be timed over a share of the time."""

    name: str
    worker: Worker
    case: Case
    setting: float
    share: float = 1.0
    seconds: float = math.inf

    def choose(self, entry: Entry) -> None:
        """A share of whole steps that takes long enough, and no longer; compiles on the way."""
        steps = 1 if entry.adaptive else max(round(self.setting), 1)
        share = 1.0 if entry.adaptive else min(3 / steps, 1.0)
        self._ask("prepare", share)
        seconds = self._ask("advance", share)
        wanted = math.ceil(BURST / max(seconds, 1e-6) * share * steps)
        self.share = 1.0 if entry.adaptive or wanted >= steps else max(wanted, 3) / steps

    def once(self) -> float:
        """Seconds of this share, once."""
        return self._ask("advance", self.share)

    def _ask(self, do: str, share: float) -> float:
        answer = self.worker.ask(do, self.name, self.case, setting=self.setting, share=share)
        return answer["seconds"]


def sources() -> str:
    """A digest of the solvers' sources: rows of pushforward's own are as old as those."""
    digest = hashlib.sha256()
    for path in sorted((Path(ROOT) / "solvers").rglob("*.[pch]*")):
        if path.suffix in {".py", ".c", ".h"}:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _row(values: dict[str, Any]) -> Row:
    found = {target: Found(**one) for target, one in values["found"].items()}
    return Row(**{**values, "found": found})
