"""What the scores must refuse, and what they must not: `python -m benchmarks.controls_table`.

A decaying flow on 32 x 32 points is solved: members to learn from, members to be scored, and a
pool of others for the floors. The scored members, spoilt in ways that a surrogate may be wrong in,
must be outside in the scores that `CAUGHT` names, every score for one control at least; another
set of the solver must be inside but for what chance allows. A second part gives the flow a tracer
that hangs on it: what joint scores see. The page (docs/results/controls.md) holds every figure.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from scipy import stats

from benchmarks.markdown import table
from benchmarks.spoilt import GRID, TIME, VISCOSITY, Flow, Tracer
from pushforward.floors import measure
from pushforward.summary import state
from pushforward.verdicts import RESIDUAL, SMALL_IS_BAD, titles

PAGE = Path(__file__).resolve().parents[1] / "docs" / "results" / "controls.md"
COMMAND = "OMP_NUM_THREADS=1 python -m benchmarks.controls_table"

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
    "training copy": ("memorisation", "closest_members"),
    "Gaussian": ("gradient_flatness", "structure_functions", "increment_flatness", "energy_flux",
                 "enstrophy_flux", "classifier_auc"),
    "skewed values": ("w1", "skewness", "flatness", "increment_flatness", "classifier_auc"),
    "amplitude x 1.3": ("w1", "energy_w1", "variance_w1", "dissipation_w1", "pod_spectrum",
                        "frechet", "sliced_w1", "mmd", "riesz_mmd", "energy_distance"),
    "reversed in time": ("energy_flux", "enstrophy_flux", "classifier_auc"),
    "variables shuffled between members": ("joint: cross_spectrum",),
    "tracer of the other sign": ("joint: cross_spectrum", "joint: sliced_w1",
                                 "joint: energy_distance"),
    "tracer steepened": ("tracer: increment_skewness", "tracer: gradient_flatness",
                         "tracer: classifier_auc", "joint: classifier_auc", "joint: mmd",
                         "joint: riesz_mmd"),
}  # fmt: skip


def scores(flow: Flow, names: tuple[str, ...] = (), splits: int = 200, **options) -> xr.Dataset:
    """The scores of the controls (all of them, or by name), a Dataset (ensemble, score).

    With a tracer its scores and the joint ones, whose names begin with `tracer: ` or `joint: `.
    """
    sets, pool = flow.controls(names), flow.pool
    variables = ["vorticity", "tracer"][: pool.shape[1]]
    settings = {"splits": splits, "bootstrap": 20, **options}
    found = measure(sets, None, pool, GRID, variables, training=flow.training, **settings)
    if len(variables) == 1:
        return found.isel(variable=0, drop=True)
    parts = []
    for variable in ("tracer", "joint"):
        part = found.sel(variable=variable, drop=True)
        part = part.isel(score=part.value.notnull().all("ensemble").values)
        parts.append(part.assign_coords(score=[f"{variable}: {s}" for s in part.score.values]))
    return xr.concat(parts, "score", data_vars="minimal")


def asked() -> dict[str, list[str]]:
    """Per score the controls that must be outside in it."""
    return {
        score: [c for c, names in CAUGHT.items() if score in {s.split(": ")[-1] for s in names}]
        for score in titles()
        if score not in RESIDUAL  # is asked of frames that follow each other: tests of physics
    }


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


def p_values(
    sets: int, members: int = 24, splits: int = 49, control: str = "another set"
) -> dict[str, np.ndarray]:
    """p of every score between two sets of the solver, for so many independent comparisons.

    A score whose floor does not vary, as the mean of a flow that has none, has no p to speak of.
    """
    drawn: dict[str, list[float]] = {}
    for i in range(sets):
        flow = Flow(members, first=10_000 + 7 * members * i)
        found = scores(flow, (control,), splits=splits, bootstrap=2, seed=i)
        row = found.sel(ensemble=control)
        for name in map(str, row.score.values):
            if row.floor_sd.sel(score=name) > 0:
                drawn.setdefault(name, []).append(row.p.sel(score=name).item())
    return {name: np.array(p) for name, p in drawn.items() if len(p) == sets}


def uniform(p: np.ndarray) -> float:
    """The p-value of uniform p-values (Kolmogorov, Smirnov)."""
    return float(stats.kstest(p, "uniform").pvalue)


def page(parts: list[xr.Dataset], null: Mapping[str, np.ndarray], seconds: float) -> str:
    """The page in Markdown: the flow's scores, and those with a tracer."""
    facts = parts[0].attrs
    lines = [
        "# Controls of the scores",
        "",
        f"    {COMMAND}",
        "",
        f"One thread, {seconds:.0f} seconds. Decaying Navier-Stokes on 32 x 32 points, viscosity "
        f"{VISCOSITY:g}, t = {TIME:g}; {facts['members']} members against as many, floors "
        f"from {facts['splits']} splits of {facts['pool']} others. A cell is the "
        "value; **bold** is outside the solver-vs-solver 95% (nearest neighbours: below its 5%).",
    ]
    for i, found in enumerate(parts):
        if i:
            lines += [
                "",
                "The same with a tracer: the vorticity smoothed, and noise of its own. Scores of "
                "the tracer and of both variables together; the vorticity is always right.",
            ]
        lines += ["", _values(found), "", _verdicts(found), "", _clean(found)]
    rows = [[f"`{score}`", ", ".join(names) or "none"] for score, names in asked().items()]
    lines += ["", table(["score", "controls that must be outside in it"], rows)]
    return "\n".join([*lines, *_null(null)]) + "\n"


def _values(found: xr.Dataset) -> str:
    names, rows = list(map(str, found.ensemble.values)), []
    for name in map(str, found.score.values):
        row = found.sel(score=name)
        floor = row.isel(ensemble=0)
        limit = "floor_q05" if name.split(": ")[-1] in SMALL_IS_BAD else "floor_q95"
        cells = [row.sel(ensemble=ensemble) for ensemble in names]
        texts = [
            f"{c.value.item():.3g}" if c.inside else f"**{c.value.item():.3g}**" for c in cells
        ]
        unit = f" [{row.unit.item()}]" if row.unit.item() else ""
        floors = f"{floor.floor_mean.item():.3g}, {floor[limit].item():.3g}"
        rows.append([f"`{name}`{unit}", floors, *texts])
    return table(["score", "solver: mean, 95%", *names], rows)


def _listed(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(f"`{s}`" for s in names) or "none"


def _verdicts(found: xr.Dataset) -> str:
    rows = []
    for name, lacking in missed(found).items():
        count = f"{len(outside(found, name))} of {found.sizes['score']}"
        rows.append([name, state(found, name), _listed(CAUGHT[name]), _listed(lacking), count])
    head = ["control", "from the solver", "must be outside in", "missed", "outside in all"]
    return table(head, rows)


def _clean(found: xr.Dataset) -> str:
    clean, count = outside(found, "another set"), found.sizes["score"]
    return (
        f"The solver's other set is {state(found, 'another set')}; it is outside in {len(clean)} "
        f"of {count} scores ({_listed(clean)}); chance allows {0.05 * count:.1f} in the mean."
    )


def _null(null: Mapping[str, np.ndarray]) -> list[str]:
    if not null:
        return []
    text = (
        f"p-values of {len(next(iter(null.values())))} independent null comparisons (24 members a "
        "side): the p-value of uniformity (Kolmogorov, Smirnov), and the share of p <= 0.05."
    )
    rows = [
        [f"`{k}`", f"{uniform(p):.2f}", f"{(p <= 0.0501).mean():.2f}"] for k, p in null.items()
    ]
    return ["", text, "", table(["score", "uniform", "p <= 0.05"], rows)]


def main() -> None:
    """Writes the page; ends with 1 where a control is missed or a score has none."""
    torch.set_num_threads(1)
    began = time.monotonic()
    parts = [scores(Flow()), scores(Tracer(first=5_000))]
    null = p_values(60)
    PAGE.write_text(page(parts, null, time.monotonic() - began), "utf-8")
    print(PAGE.read_text("utf-8"))
    lacking = any(
        names or state(found, name) != "told"
        for found in parts
        for name, names in missed(found).items()
    )
    sys.exit(1 if lacking or not all(asked().values()) else 0)


if __name__ == "__main__":
    main()
