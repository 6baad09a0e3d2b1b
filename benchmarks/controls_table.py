"""What the scores must refuse, and what they must not: `python -m benchmarks.controls_table`.

A decaying flow on 32 x 32 points is solved: members to learn from, members to be scored, and a
pool of others for the floors. The scored members, spoilt in ways that a surrogate may be wrong in,
must be outside in the scores that `CAUGHT` names; another set of the solver must be inside but for
what chance allows. The page (docs/results/controls.md) holds every figure.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from scipy import stats
from torch import Tensor

from pushforward.controls import low_pass, moved, noisy, random_phases, repeated
from pushforward.floors import measure
from pushforward.solvers import GaussianField, Grid, NavierStokes, Problem, ResolutionWarning

PAGE = Path(__file__).resolve().parents[1] / "docs" / "results" / "controls.md"
COMMAND = "OMP_NUM_THREADS=1 python -m benchmarks.controls_table"
GRID = Grid((32, 32))
FIELD = GaussianField.matern(4.0, 0.3, deviation=3.0, mean=False, cutoff=10)
VISCOSITY, TIME = 0.01, 2.0


@dataclass(frozen=True)
class Flow:
    """Solver members (member, 1, y, x): learnt from, to be scored, and the pool of the floors.

    `first` is the first member's number: another one gives another, independent set. The grid cuts
    off the smallest eddies, and the solver says so; what is sampled is the law of the system that
    it cuts, which is as good a law as any other.
    """

    members: int = 128
    first: int = 0

    def solve(self, start: int, count: int, viscosity: float = VISCOSITY) -> Tensor:
        """`count` members from the number `start` on, after `first`."""
        flow = NavierStokes(viscosity=viscosity)
        problem = Problem(GRID, flow, FIELD, times=(TIME,), tolerance=1e-4)
        start += self.first
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResolutionWarning)
            return problem.solve(range(start, start + count))[:, 0]

    @property
    def training(self) -> Tensor:
        """What a surrogate would have learnt from."""
        return self.solve(0, 2 * self.members)

    @property
    def scored(self) -> Tensor:
        """Members that stand on neither side of the floors."""
        return self.solve(2 * self.members, self.members)

    @property
    def pool(self) -> Tensor:
        """Held-out members, the last of which are the reference."""
        return self.solve(3 * self.members, 4 * self.members)

    def controls(self) -> dict[str, Tensor]:
        """Every control's members."""
        training, scored = self.training, self.scored
        generator = torch.Generator().manual_seed(self.first)

        def normal() -> Tensor:
            return torch.randn(scored.shape, generator=generator, dtype=torch.float64)

        spectrum = GRID.fft(training.double()).abs().square().mean(0).sqrt()
        sets = {
            "another set": scored,
            "random phases": random_phases(scored, GRID),
            "2/3 low-pass": low_pass(scored, GRID),
            "viscosity x 1.5": self.solve(2 * self.members, self.members, 1.5 * VISCOSITY),
            "1% white noise": noisy(scored, GRID, 0.01),
            "10% white noise": noisy(scored, GRID, 0.1),
            "16 members, repeated": repeated(scored, 16),
            "training copy": moved(training[: self.members], GRID),
            "Gaussian": GRID.ifft(GRID.fft(normal()) * GRID.size**0.5 * spectrum),
        }
        return {name: fields.float() for name, fields in sets.items()}


CAUGHT: Mapping[str, tuple[str, ...]] = {
    "random phases": ("gradient_w1", "gradient_flatness", "structure_functions", "energy_flux",
                      "enstrophy_flux", "classifier_auc"),
    "2/3 low-pass": ("log_spectral_distance", "worst_shell", "top_octave", "gradient_w1",
                     "dissipation_w1", "classifier_auc", "mmd"),
    "viscosity x 1.5": ("log_spectral_distance", "worst_shell", "top_octave", "gradient_w1",
                        "structure_functions", "dissipation_w1", "classifier_auc"),
    "1% white noise": ("mean_mode", "dealiased_tail", "classifier_auc"),
    "10% white noise": ("log_spectral_distance", "worst_shell", "top_octave", "gradient_w1",
                        "dealiased_tail", "classifier_auc"),
    "16 members, repeated": ("pod_spectrum", "frechet", "sliced_w1", "mmd", "energy_distance",
                             "classifier_auc"),
    "training copy": ("memorisation",),
    "Gaussian": ("gradient_flatness", "structure_functions", "increment_flatness", "energy_flux",
                 "enstrophy_flux", "classifier_auc"),
}  # fmt: skip


def scores(flow: Flow, names: tuple[str, ...] = (), splits: int = 200, **options) -> xr.Dataset:
    """The scores of the controls (all of them, or by name), a Dataset (ensemble, score)."""
    sets = {k: v for k, v in flow.controls().items() if not names or k in names}
    settings = {"splits": splits, "bootstrap": 20, **options}
    found = measure(sets, None, flow.pool, GRID, ["vorticity"], training=flow.training, **settings)
    return found.isel(variable=0, drop=True)


def missed(found: xr.Dataset) -> dict[str, list[str]]:
    """Per control the scores that should have been outside and are not."""
    return {
        name: [s for s in CAUGHT[name] if bool(found.inside.sel(ensemble=name, score=s))]
        for name in map(str, found.ensemble.values)
        if name in CAUGHT
    }


def outside(found: xr.Dataset, name: str) -> list[str]:
    """The scores in which a set is outside."""
    chosen = found.sel(ensemble=name)
    return [str(s) for s in found.score.values[~chosen.inside.values & chosen.value.notnull()]]


def p_values(sets: int, members: int = 24, splits: int = 49) -> dict[str, np.ndarray]:
    """p of every score between two sets of the solver, for so many independent comparisons.

    A score whose floor does not vary, as the mean of a flow that has none, has no p to speak of.
    """
    drawn: dict[str, list[float]] = {}
    for i in range(sets):
        flow = Flow(members, first=10_000 + 7 * members * i)
        found = scores(flow, ("another set",), splits=splits, bootstrap=2, seed=i)
        row = found.sel(ensemble="another set")
        for name in map(str, row.score.values):
            if row.floor_sd.sel(score=name) > 0:
                drawn.setdefault(name, []).append(row.p.sel(score=name).item())
    return {name: np.array(p) for name, p in drawn.items() if len(p) == sets}


def uniform(p: np.ndarray) -> float:
    """The p-value of uniform p-values (Kolmogorov, Smirnov)."""
    return float(stats.kstest(p, "uniform").pvalue)


def page(found: xr.Dataset, null: Mapping[str, np.ndarray], seconds: float) -> str:
    """The page in Markdown."""
    names = list(map(str, found.ensemble.values))
    clean = outside(found, "another set")
    lines = [
        "# Controls of the scores",
        "",
        f"    {COMMAND}",
        "",
        f"One thread, {seconds:.0f} seconds. Decaying Navier-Stokes on 32 x 32 points, viscosity "
        f"{VISCOSITY:g}, t = {TIME:g}; {found.attrs['members']} members against as many, floors "
        f"from {found.attrs['splits']} splits of {found.attrs['pool']} others. A cell is the "
        "value; **bold** is outside the solver-vs-solver 95% (memorisation: below its 5%).",
        "",
        "| score | solver: mean, 95% | " + " | ".join(names) + " |",
        "|---|---|" + "---|" * len(names),
    ]
    for name in map(str, found.score.values):
        row = found.sel(score=name)
        floor = row.isel(ensemble=0)
        limit = "floor_q05" if name == "memorisation" else "floor_q95"
        cells = []
        for ensemble in names:
            cell = row.sel(ensemble=ensemble)
            text = f"{cell.value.item():.3g}"
            cells.append(text if bool(cell.inside) else f"**{text}**")
        floors = f"{floor.floor_mean.item():.3g}, {floor[limit].item():.3g}"
        unit = f" [{row.unit.item()}]" if row.unit.item() else ""
        lines.append(f"| `{name}`{unit} | {floors} | " + " | ".join(cells) + " |")
    lines += ["", *_verdicts(found, clean), "", *_null(null)]
    return "\n".join(lines) + "\n"


def _verdicts(found: xr.Dataset, clean: list[str]) -> list[str]:
    lines = ["| control | must be outside in | missed | outside in all |", "|---|---|---|---|"]
    for name, lacking in missed(found).items():
        must = ", ".join(f"`{s}`" for s in CAUGHT[name])
        said = ", ".join(f"`{s}`" for s in lacking) or "none"
        count = len(outside(found, name))
        lines.append(f"| {name} | {must} | {said} | {count} of {found.sizes['score']} |")
    named = ", ".join(f"`{s}`" for s in clean) or "none"
    allowed = 0.05 * found.sizes["score"]
    return [
        *lines,
        "",
        f"The solver's other set is outside in {len(clean)} of "
        f"{found.sizes['score']} scores ({named}); chance allows {allowed:.1f} in the mean.",
    ]


def _null(null: Mapping[str, np.ndarray]) -> list[str]:
    if not null:
        return []
    count = len(next(iter(null.values())))
    lines = [
        f"p-values of {count} independent null comparisons (24 members a side): the p-value of "
        "uniformity (Kolmogorov, Smirnov), and the share of p <= 0.05.",
        "",
        "| score | uniform | p <= 0.05 |",
        "|---|---|---|",
    ]
    for name, p in null.items():
        lines.append(f"| `{name}` | {uniform(p):.2f} | {(p <= 0.0501).mean():.2f} |")
    return lines


def main() -> None:
    """Writes the page; ends with 1 where a control is missed."""
    torch.set_num_threads(1)
    began = time.monotonic()
    found = scores(Flow())
    null = p_values(60)
    PAGE.write_text(page(found, null, time.monotonic() - began), "utf-8")
    lacking = {name: names for name, names in missed(found).items() if names}
    print(PAGE.read_text("utf-8"))
    sys.exit(1 if lacking else 0)


if __name__ == "__main__":
    main()
