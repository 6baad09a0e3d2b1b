"""What is combined: paths, processes and samplers, by name, with the steps each one is given."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pushforward.generative import Hierarchy, Path, Prior, Process, Sampler, Windows
from pushforward.generative.draw import FLOWS, Method
from pushforward.generative.langevin import Rule

SEED = 20
DEEP = Path(Hierarchy(), lowest=-7.0, highest=8.0)  # all coefficients at once, the data's spectrum
GIVEN = replace(DEEP, prior=Prior("white"), lowest=-8.0, highest=9.0, ends="given")
CLOCK = "the process's clock"

PATHS: dict[str, Path] = {
    "VP, white noise": replace(GIVEN, schedule="vp"),
    "cosine": replace(DEEP, schedule="cosine"),
    "EDM, white noise": replace(GIVEN, schedule="edm"),
    "ladder, Matérn noise": replace(DEEP, prior=Prior("matern", 1.5, 0.2)),
    "blur": replace(DEEP, schedule="cosine", blur=(0.05, 0.5)),
    "GUD, a = 0": DEEP,
    "GUD, a = 0.4": replace(DEEP, hierarchy=Hierarchy(variance=0.4)),
    "GUD, a = 1": replace(DEEP, hierarchy=Hierarchy(variance=1.0)),
    "GUD, a = 1.6": replace(DEEP, hierarchy=Hierarchy(variance=1.6)),
    "by wave number": replace(DEEP, hierarchy=Hierarchy(wavenumber=1.0)),
    "by level": replace(DEEP, hierarchy=Hierarchy(level=2.0)),
    "by variance and wave number": replace(DEEP, hierarchy=Hierarchy(0.5, wavenumber=0.5)),
    "by variance and level": replace(DEEP, hierarchy=Hierarchy(0.5, level=1.0)),
    "columns, overlapping": replace(DEEP, windows=Windows("column", delay=0.5, size=2)),
    "columns, disjoint": replace(DEEP, windows=Windows("column", delay=0.75, size=2)),
    "levels, overlapping": replace(DEEP, windows=Windows("level", delay=0.5)),
    CLOCK: replace(GIVEN, schedule="process"),
}

PROCESSES: dict[str, Process] = {
    kind: Process(kind) for kind in ("vp", "ve", "cld", "psld", "alda", "malda", "learned")
}


@dataclass(frozen=True)
class Entry:
    """A sampler, the size of its ensembles, and whether it moves a process's variables.

    `pace` times the steps are for groups that take turns.
    """

    sampler: Sampler
    members: int = 1000
    lifted: bool = False
    pace: int = 3

    def at(self, path: Path) -> Sampler:
        """The sampler for a path."""
        pace = 1 if path.windows is None else self.pace
        return replace(self.sampler, steps=pace * self.sampler.steps)

    def quick(self) -> Entry:
        """A quarter of the members, whose errors of chance hide larger ones of the steps: a third
        of these, where they are many and not of Euler and Maruyama."""
        fewer = 1 if self.sampler.method in (*FLOWS, "euler_maruyama") else 3
        sampler = replace(self.sampler, steps=self.sampler.steps // fewer)
        return replace(self, sampler=sampler, members=self.members // 4, pace=2)


def _langevin(rule: Rule, steps: int, inner: int, step: float) -> Entry:
    return Entry(Sampler("langevin", steps=steps, inner=inner, step=step, rule=rule), 300)


def _lifted(method: Method, steps: int) -> Entry:
    return Entry(Sampler(method, steps=steps), 300, lifted=True)


SAMPLERS: dict[str, Entry] = {
    "multistep": Entry(Sampler("multistep", steps=64)),
    "multistep, churn 1": Entry(Sampler("multistep", steps=96, churn=1.0)),
    "heun": Entry(Sampler("heun", steps=48)),
    "heun, churn 1": Entry(Sampler("heun", steps=64, churn=1.0)),
    "langevin, corrected": _langevin("corrected", 300, 12, 0.3),
    "langevin, pcn": _langevin("pcn", 250, 12, 0.1),
    "langevin, wiener": _langevin("wiener", 250, 10, 0.3),
    "strang": _lifted("strang", 40),
    "sscs": _lifted("sscs", 300),
    "bridge": _lifted("bridge", 400),
    "euler_maruyama": _lifted("euler_maruyama", 500),
}

# (path, process, sampler), None for any: the library does them, but they converge too slowly for
# steps like those above to bring them within four standard errors.
NOT_MEANT: dict[tuple[str | None, str, str | None], str] = {
    (None, "alda", "euler_maruyama"): (
        "noise reaches the data by way of two more variables, which explicit steps of order one "
        "follow only when they are very many; strang and bridge solve this part exactly"
    ),
    (CLOCK, "ve", None): (
        "this clock's time grows to where a process has forgotten its start, and ve never does: "
        "almost all steps are spent on noise far above the data; edm or linear are its clocks"
    ),
}


def unmeant(path: str, process: str | None, sampler: str) -> str | None:
    """Why a combination is not meant to work, if it is not."""
    for (where, kind, how), reason in NOT_MEANT.items():
        if kind == process and where in (None, path) and how in (None, sampler):
            return reason
    return None
