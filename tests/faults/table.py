"""All faults, how often each is injected, and what is counted."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.faults import clocks, clusters, company, disks, kills, servers, stores
from tests.faults.scene import Bench
from tests.faults.subject import BLOCKWISE, VERBS
from tests.faults.verdict import FAILED, GOOD, MISSED, Injection

TRIES = 5  # injections, for each that must hit, before a fault counts as one that never does
SENTENCES = 3  # that are kept of a fault


@dataclass(frozen=True)
class Fault:
    """A row: what happens, on which verbs, and what is done about it.

    `inject` injects it once; `mounts` says that it needs disks of its own.
    """

    title: str
    remedy: str
    inject: Callable[[Bench, Random, str], Injection]
    verbs: Sequence[str] = tuple(VERBS)
    mounts: bool = False


AGAIN = "the same command"
FAULTS: dict[str, Fault] = {
    "process": Fault("kill -9 of the process that computes", AGAIN, kills.process),
    "worker": Fault("kill -9 of a worker of the pool", AGAIN, kills.worker, BLOCKWISE),
    "dask-worker": Fault("kill -9 of a Dask worker", AGAIN, clusters.worker, BLOCKWISE),
    "dask-scheduler": Fault(
        "kill -9 of the Dask scheduler",
        f"start it again, {AGAIN}",
        clusters.scheduler,
        BLOCKWISE,
    ),
    "server": Fault(
        "kill -9 of the Prefect server",
        f"start it again, {AGAIN}",
        servers.server,
        BLOCKWISE,
    ),
    "flow": Fault("kill -9 of the process of a Prefect flow", AGAIN, servers.flow),
    "grace": Fault("SIGTERM of a training", AGAIN, kills.grace, ("train",)),
    "term": Fault("SIGTERM of the other verbs", AGAIN, kills.term, BLOCKWISE),
    "full": Fault("disk full", f"free some space, {AGAIN}", disks.full, mounts=True),
    "permission": Fault("permission lost", f"give it again, {AGAIN}", disks.forbidden),
    "truncated": Fault("a truncated file", "`verify --repair`", disks.truncated),
    "flipped": Fault("a flipped bit", "`verify --repair`", disks.flipped),
    "store": Fault("an object store that fails or is slow", AGAIN, stores.store),
    "clock": Fault("the clock jumps, back or forwards", AGAIN, clocks.alone),
    "skew": Fault("a second run, its clock ahead, sweeps", AGAIN, clocks.beside),
    "pair": Fault("two runs of the same study at once", AGAIN, company.pair),
    "poison": Fault("a number that is none", AGAIN, company.poison),
}


def measure(
    name: str, bench: Bench, times: int, seed: int, keep: Callable[[dict[str, Any]], object]
) -> dict[str, Any]:
    """Injects a fault until it has hit `times` times, on its verbs in turns; the row's numbers.

    Every injection draws from (seed, name, its number). What it draws is the same in every run;
    what else goes on in the machine meanwhile is not. `keep` is told the row after each hit, which
    is one that has failed while hits are wanting.
    """
    fault, began = FAULTS[name], time.monotonic()
    found: list[Injection] = []
    missed = 0

    def row() -> dict[str, Any]:
        said = {"title": fault.title, "remedy": fault.remedy, "seed": seed}
        minutes = round((time.monotonic() - began) / 60, 2)
        return summary(found, missed, times) | said | {"minutes": minutes}

    while len(found) < times and missed + len(found) < TRIES * times:
        verb = fault.verbs[len(found) % len(fault.verbs)]
        draw = Random(f"{seed}/{name}/{missed + len(found)}")
        one = _inject(fault, bench, draw, verb)
        if one.outcome == MISSED:
            missed += 1
        else:
            found.append(one)
            keep(row())
    return row()


def _inject(fault: Fault, bench: Bench, draw: Random, verb: str) -> Injection:
    try:
        return fault.inject(bench, draw, verb)
    except Exception as error:  # a table that stops at its first surprise says nothing of the rest
        return Injection(verb, FAILED, why=f"{type(error).__name__}: {error}")


def _kind(sentence: str) -> str:
    """A sentence without what differs from one injection to the next: paths and numbers."""
    return re.sub(r"\S*[/0-9]\S*", "#", sentence)


def summary(found: Sequence[Injection], missed: int, times: int) -> dict[str, Any]:
    """The numbers of a row; it has failed where an injection has, or where too few hit."""
    outcomes = Counter(one.outcome for one in found)
    kinds = Counter(_kind(one.sentence) for one in found if one.sentence)
    examples = {_kind(one.sentence): one.sentence for one in reversed(found)}
    failures = [f"{one.verb}: {one.why}" for one in found if one.outcome not in GOOD]
    if len(found) < times:
        failures.append(f"expected {times} injections that hit, got {len(found)}")
    return {
        "injections": len(found),
        "missed": missed,
        "verbs": dict(Counter(one.verb for one in found)),
        "outcomes": {name: outcomes[name] for name in (*GOOD, FAILED)},
        "worst_seconds": round(max((one.seconds for one in found), default=0.0), 2),
        "sentences": [examples[kind] for kind, _ in kinds.most_common(SENTENCES)],
        "failures": failures,
    }
