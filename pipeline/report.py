"""The report: one self-contained HTML page on an ensemble, from what the archive holds of it.

It says first, in one sentence computed from the numbers, whether the ensemble can be told from
the solver's. Then the evidence: samples of the solver, of the trained surrogate and of the
Gaussian one (the same surrogate without its network) on one colour scale; curves with error
bands; every score beside what two solver ensembles differ by, and what the same scores say of
copies that are wrong on purpose. Then how it came about: training, seconds, versions, machines,
and the study itself with the command that repeats it.
"""

from __future__ import annotations

from html import escape

import xarray as xr

from pushforward import controls, figures, files, learnt, lines, origin, page, summary
from pushforward.archive import Archive
from pushforward.certificate_table import section as certified
from pushforward.claims import SEEDS, across_seeds
from pushforward.colours import limits
from pushforward.control_table import section as controlled
from pushforward.discovery import physics
from pushforward.evaluation import (
    CURVES_FILE,
    SCORES_FILE,
    labels,
    restore,
)
from pushforward.places import Place
from pushforward.progress import say
from pushforward.samples import samples
from pushforward.score_table import score_table
from pushforward.shelf import REPORT
from pushforward.spec import Evaluation, Simulation
from pushforward.study import Study

FILE = REPORT
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
) -> Place:
    """Writes the page `report.html` beside the scores, and says where it lies.

    A page that is there is written anew unless `again` is False.

    Raises LookupError when the evaluation, or anything upstream of it, is missing.

    >>> report(Study.load("smoke").evaluation, Archive("nowhere"))
    Traceback (most recent call last):
    LookupError: evaluation-... is not in nowhere; run evaluate(study.evaluation, archive) first
    """
    archive.require(evaluation)
    page_is_there = files.exists(archive.folder(evaluation) / FILE)
    if page_is_there and not again:
        say(f"report: {archive.folder(evaluation) / FILE} is there: nothing to do")
        return archive.folder(evaluation) / FILE
    scores = restore(archive.read_json(evaluation, SCORES_FILE))
    curves = restore(archive.read_json(evaluation, CURVES_FILE))
    study = Study(
        title=title or default_title(evaluation), description=description, evaluation=evaluation
    )
    body = [
        _head(study, scores, archive),
        page.section("Samples", *_samples(evaluation, archive)),
        page.section("Curves", *_curves(curves)),
        page.section("Scores", *score_table(scores)),
        page.section("Controls", *controlled(_controls(evaluation, archive), scores)),
        page.section(*_source(study.simulation, archive)),
        page.section("Training", *learnt.training(study.training, archive)),
        page.section("Use the ensemble", *origin.usage(study, archive)),
        page.section("Provenance", *origin.provenance(study, archive, scores.attrs)),
    ]
    path = archive.write_text(evaluation, FILE, page.document(study.title, "\n".join(body)))
    say(f"report: {path}")
    return path


def _source(simulation: Simulation, archive: Archive) -> list[str]:
    """The heading and the section on the solver, or on the data where there is none."""
    if simulation.solved:
        return ["Solver", *certified(simulation, archive)]
    about = physics(simulation.subject)["data"]
    return ["Data", page.paragraph(f"Drawn or read, not solved for: {escape(about)}.")]


def default_title(evaluation: Evaluation) -> str:
    """What the page is called when the study's title is not known."""
    simulation = evaluation.generation.training.simulation
    kind = "–".join(word.capitalize() for word in simulation.subject.kind.split("_"))
    return f"{kind}, {' × '.join(map(str, simulation.grid.shape))}"


def _head(study: Study, scores: xr.Dataset, archive: Archive) -> str:
    """The title, and what the scores say: of this ensemble, of chance, of the method."""
    others = summary.told(scores, "gaussian")
    total = summary.count(scores, "gaussian")
    note = (
        f"{summary.chance(scores)} Compared are {scores.attrs['members']} generated members with "
        "as many solver members that training never saw. Without its network the surrogate is "
        f"Gaussian, and outside in {len(others)} of {total} scores."
    )
    far = summary.farther(scores) if summary.told(scores, "trained") else ""
    told = [part for part in (far, _trainings(study.evaluation, archive)) if part]
    return "\n".join(
        [
            "<header>",
            page.paragraph(f"Pushforward · {study.evaluation.name}", "kicker"),
            f"<h1>{escape(study.title)}</h1>",
            page.paragraph(study.description) if study.description else "",
            page.paragraph(summary.verdict(scores), "verdict"),
            page.paragraph(" ".join(told)),
            page.paragraph(note, "note"),
            "</header>",
        ]
    )


def _trainings(evaluation: Evaluation, archive: Archive) -> str:
    """How many trainings stand behind the verdict."""
    names = summary.trainings(evaluation, archive)
    if len(names) < SEEDS:
        return summary.behind(len(names))
    tables = [restore(archive.read_json(name, SCORES_FILE)) for name in names]
    try:
        inside = across_seeds([one.sel(ensemble="trained") for one in tables]).inside
    except ValueError:  # scores of different versions
        return summary.behind(len(names))
    return summary.behind(len(names), float((inside == 1).sum() / inside.notnull().sum()))


def _controls(evaluation: Evaluation, archive: Archive) -> xr.Dataset | None:
    """What was stored of the controls."""
    if not files.exists(archive.folder(evaluation) / controls.FILE):
        return None
    return restore(archive.read_json(evaluation, controls.FILE))


def _samples(evaluation: Evaluation, archive: Archive) -> list[str]:
    """Fields of the three ensembles, one colour scale a variable."""
    training = evaluation.generation.training
    found, parts = samples(evaluation, archive), []
    grid = found.grid
    for v, variable in enumerate(labels(training)):
        low, high, diverging = limits(found.fields["solver"][:, v])
        if len(labels(training)) > 1:
            parts.append(f"<h3>{escape(variable)}</h3>")
        aspect = grid.extent[-1] / grid.extent[-2] if grid.ndim > 1 else 3.0
        for name, fields in found.fields.items():
            urls = figures.images(fields[:, v], grid, low, high, diverging)
            words = WORDS[name].split(",")[0].capitalize().replace("gaussian", "Gaussian")
            parts.append(page.pictures(urls, words, found.remarks[name], aspect))
        low_end, high_end = (f"{value:.3g}".replace("-", "−") for value in (low, high))
        about = training.about[training.stack[v][1]]
        scale = figures.scale(diverging)
        parts.append(page.colour_scale(scale, low_end, high_end, about))
    return parts


def _curves(curves: xr.Dataset) -> list[str]:
    """Every variable's curves, with what the bands are."""
    present = [str(name) for name in curves.ensemble.values]
    parts = [page.legend([(name, words) for name, words in WORDS.items() if name in present])]
    several = curves.sizes["variable"] > 1
    for variable in map(str, curves.variable.values):
        if several:
            parts.append(f"<h3>{escape(variable)}</h3>")
        parts.append(page.figures(lines.drawings(curves, variable)))
    parts.append(page.paragraph(lines.note(curves), "note"))
    return parts
