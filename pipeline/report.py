"""The report: one self-contained HTML page on an ensemble, from what the archive holds of it.

It says first, in one sentence computed from the numbers, whether the ensemble can be told from
the solver's. Then the evidence: samples of the solver, of the trained surrogate and of the
Gaussian one (the same surrogate without its network) on one colour scale; spectra and densities
with error bands; every score beside what two solver ensembles differ by. Then how it came about:
training, seconds, versions, machines, and the study itself with the command that repeats it.
"""

from __future__ import annotations

import math
from html import escape
from pathlib import Path
from typing import Any

import torch
import xarray as xr

from pushforward import figures, origin, page
from pushforward.archive import Archive
from pushforward.certificate_table import section as certified
from pushforward.comparison import common
from pushforward.evaluation import (
    CURVES_FILE,
    SCORES_FILE,
    gaussian,
    labels,
    restore,
    stacked,
)
from pushforward.progress import say
from pushforward.score_table import score_table
from pushforward.spec import Evaluation
from pushforward.study import Study

FILE = "report.html"
SHOWN = 5  # members of each ensemble
WORDS = {
    "solver": "solver, held-out members",
    "trained": "trained surrogate",
    "gaussian": "Gaussian surrogate, no network",
}


def report(
    evaluation: Evaluation,
    archive: Archive,
    *,
    title: str = "",
    description: str = "",
    again: bool = True,
) -> Path:
    """Writes the page `report.html` beside the scores, and says where it lies.

    A page that is there is written anew unless `again` is False.

    Raises LookupError when the evaluation, or anything upstream of it, is missing.

    >>> report(Study.load("smoke").evaluation, Archive("nowhere"))
    Traceback (most recent call last):
    LookupError: evaluation-... is not in nowhere; run evaluate(study.evaluation, archive) first
    """
    archive.require(evaluation)
    page_is_there = (archive.folder(evaluation) / FILE).is_file()
    if page_is_there and not again:
        say(f"report: {archive.folder(evaluation) / FILE} is there: nothing to do")
        return archive.folder(evaluation) / FILE
    scores = restore(archive.read_json(evaluation, SCORES_FILE))
    curves = restore(archive.read_json(evaluation, CURVES_FILE))
    study = Study(
        title=title or default_title(evaluation), description=description, evaluation=evaluation
    )
    body = [
        _head(study, scores),
        page.section("Samples", *_samples(evaluation, archive)),
        page.section("Spectra and densities", *_curves(curves)),
        page.section("Scores", *score_table(scores)),
        page.section("Solver", *certified(study.simulation, archive)),
        page.section("Training", *origin.training(study.training, archive)),
        page.section("Use the ensemble", *origin.usage(study, archive)),
        page.section("Provenance", *origin.provenance(study, archive, scores.attrs["seconds"])),
    ]
    path = archive.write_text(evaluation, FILE, page.document(study.title, "\n".join(body)))
    say(f"report: {path}")
    return path


def verdict(scores: xr.Dataset, ensemble: str = "trained") -> str:
    """One sentence: by how many scores the ensemble can be told from the solver, and by which.

    >>> columns = {"value": [1.0, 9.0], "ratio": [1.0, 4.5], "p": [0.5, 0.01], "inside": [1, 0]}
    >>> scores = xr.Dataset(
    ...     {k: (("ensemble", "variable", "score"), [[v]]) for k, v in columns.items()},
    ...     {"ensemble": ["trained"], "variable": ["u"], "score": ["w1", "flatness"],
    ...      "title": ("score", ["One-point W₁", "Flatness"])})
    >>> print(verdict(scores))
    The trained ensemble differs from the solver in 1 of 2 scores: flatness (4.5 times the floor).
    """
    told = _told(scores, ensemble)
    total = int(scores.value.sel(ensemble=ensemble).notnull().sum())
    name = f"The {'Gaussian' if ensemble == 'gaussian' else ensemble} ensemble"
    if not told:
        return (
            f"{name} cannot be told from the solver by any of the {total} scores: each lies "
            "inside what two independent sets of solver members differ by."
        )
    many = len(scores.variable) > 1
    listed = [
        f"{row['title'].split(' (')[0].lower().replace('w₁', 'W₁').replace('mmd', 'MMD')}"
        + (f" of {row['variable']}" if many else "")
        + (f" ({row['ratio']:.1f} times the floor)" if math.isfinite(row["ratio"]) else "")
        for row in told[:4]
    ]
    if len(told) > 4:
        listed.append(f"{len(told) - 4} more")
    named = " and ".join(filter(None, [", ".join(listed[:-1]), listed[-1]]))
    return f"{name} differs from the solver in {len(told)} of {total} scores: {named}."


def default_title(evaluation: Evaluation) -> str:
    """What the page is called when the study's title is not known."""
    simulation = evaluation.generation.training.simulation
    kind = "–".join(word.capitalize() for word in simulation.equation.kind.split("_"))
    return f"{kind}, {' × '.join(map(str, simulation.grid.shape))}"


def _told(scores: xr.Dataset, ensemble: str) -> list[dict[str, Any]]:
    """The scores that are outside, those farthest from their floor first."""
    one = scores.sel(ensemble=ensemble)
    rows = []
    for variable in one.variable.values:
        for name in one.score.values:
            cell = one.sel(variable=variable, score=name)
            if math.isfinite(cell.value.item()) and not bool(cell.inside):
                facts = {key: cell[key].item() for key in ("title", "ratio")}
                rows.append({"variable": str(variable), **facts})
    return sorted(rows, key=lambda row: -(row["ratio"] if math.isfinite(row["ratio"]) else 0))


def _head(study: Study, scores: xr.Dataset) -> str:
    total = int(scores.value.sel(ensemble="trained").notnull().sum())
    outside = len(_told(scores, "gaussian"))
    by_chance = "one" if total < 30 else f"{total / 20:.0f}"
    note = (
        f"{scores.attrs['members']} generated members against as many solver members that "
        f"training never saw. Without its network the surrogate is Gaussian, and outside in "
        f"{outside} of {total} scores. Of {total} scores about {by_chance} would be outside by "
        "chance alone, since inside means below the 95% quantile of solver against solver."
    )
    return "\n".join(
        [
            "<header>",
            page.paragraph(f"Pushforward · {study.evaluation.name}", "kicker"),
            f"<h1>{escape(study.title)}</h1>",
            page.paragraph(study.description) if study.description else "",
            page.paragraph(verdict(scores), "verdict"),
            page.paragraph(note, "note"),
            "</header>",
        ]
    )


def _samples(evaluation: Evaluation, archive: Archive) -> list[str]:
    """Fields of the three ensembles, one colour scale a variable."""
    generation, training = evaluation.generation, evaluation.generation.training
    simulation = training.simulation
    grid = common(generation.target, simulation.grid)
    count, cost = min(SHOWN, evaluation.members), generation.drawn_with.evaluations
    first = simulation.members - evaluation.members
    unseen = stacked(archive.open(simulation), training, range(first, first + count))
    drawn = stacked(archive.open(generation), training, range(count))
    sets = {
        "solver": (
            simulation.grid.resample(unseen, grid),
            f"members {first} to {first + count - 1}",
        ),
        "trained": (
            generation.target.resample(drawn, grid),
            f"members 0 to {count - 1}, {cost} network evaluations each",
        ),
        "gaussian": (
            gaussian(evaluation, archive, range(count), grid),
            "the same members: the same noise, without the network",
        ),
    }
    parts = []
    for v, variable in enumerate(labels(training)):
        low, high, diverging = _limits(sets["solver"][0][:, v])
        if len(labels(training)) > 1:
            parts.append(f"<h3>{escape(variable)}</h3>")
        aspect = grid.extent[-1] / grid.extent[-2] if grid.ndim > 1 else 3.0
        for name, (fields, remark) in sets.items():
            urls = figures.images(fields[:, v], grid, low, high, diverging)
            words = WORDS[name].split(",")[0].capitalize().replace("gaussian", "Gaussian")
            parts.append(page.pictures(urls, words, remark, aspect))
        low_end, high_end = (f"{value:.3g}".replace("-", "−") for value in (low, high))
        about = simulation.equation.channels[training.stack[v][1]]
        scale = figures.scale(diverging)
        parts.append(page.colour_scale(scale, low_end, high_end, about))
    return parts


def _limits(fields: torch.Tensor) -> tuple[float, float, bool]:
    """The colour scale's ends from the solver's values, symmetric when they lie around 0."""
    values = fields.double().flatten()
    low, high = (
        torch.quantile(values[:: 1 + len(values) // 10**6], q).item() for q in (0.002, 0.998)
    )
    if low < 0 < high and min(-low, high) > 0.3 * max(-low, high):
        reach = max(-low, high)
        return -reach, reach, True
    return low, high, False


def _curves(curves: xr.Dataset) -> list[str]:
    present = [str(name) for name in curves.ensemble.values]
    parts = [page.legend([(name, words) for name, words in WORDS.items() if name in present])]
    several = curves.sizes["variable"] > 1
    for variable in map(str, curves.variable.values):
        if several:
            parts.append(f"<h3>{escape(variable)}</h3>")
        energy = bool(curves.energy.sel(variable=variable))
        drawings = [
            figures.spectrum(curves, variable, f"{'Energy' if energy else 'Power'} spectrum"),
            figures.density(curves, variable, "density", "Density at a point"),
            figures.density(curves, variable, "gradient_density", "Density of derivatives"),
        ]
        parts.append(page.figures(drawings))
    parts.append(
        page.paragraph(
            "Bands hold 95% of bootstrap resamples of the members. Spectra are totals per integer "
            "shell, over shells that the solver resolves.",
            "note",
        )
    )
    return parts
