"""Rows of denoising diffusion operators (Lim et al., arXiv:2302.07400): mixtures and flows."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import number
from benchmarks.seeds import mixtures, resolution
from benchmarks.seeds.autocovariance import autocovariances
from benchmarks.seeds.cells import score_table
from benchmarks.seeds.row import Family, Row, Table, Verdict
from benchmarks.seeds.scored import scored, within
from pushforward import Archive

PAPER = "DDO"
FIELDS = ("log_spectral_distance", "structure_functions", "w1")
TWICE = 2.0  # floors: what the page asks of scores
STOPS = (
    "An archive stores no member that is not finite: a run that makes one stops and is not told."
)


def _mixture(archive: Archive, families: dict[str, Family]) -> dict[str, Any]:
    (studies,) = families.values()
    names = ("log_spectral_distance", "w1", "sliced_w1")
    return {
        "scores": scored(archive, studies, names),
        "diverged": mixtures.diverged(archive, studies),
    }


def _mixture_verdict(found: dict[str, Any]) -> Verdict:
    spectra = {
        name: one["trained"]["log_spectral_distance"] for name, one in found["scores"].items()
    }
    lost = sum(
        one["not finite"] + one["ten times too large"] for one in found["diverged"].values()
    )
    trace = [one["ratio"] for name, one in spectra.items() if name.startswith("trace")]
    white = [one["ratio"] for name, one in spectra.items() if name.startswith("white")]
    learnt = [
        one["trained"]["w1"]["ratio"]
        for name, one in found["scores"].items()
        if name.startswith("trace")
    ]
    said = (
        f"spectra over the floor {', '.join(map(number, trace))} with trace-class noise and "
        f"{', '.join(map(number, white))} with white noise, learnt on 64, 128 and 256 points; "
        f"{lost} samples diverged; the one-point law is {number(max(learnt))} floors off at most"
    )
    flat = max(trace) <= TWICE and max(learnt) <= TWICE and lost == 0
    worse = max(white) > max(TWICE, 1.5 * max(trace))
    if flat and worse:
        return Verdict("confirmed", said)
    if flat:
        return Verdict(
            "not confirmed",
            f"{said}: trace-class noise keeps the spectrum at every resolution, as claimed, but "
            "so does white noise here, where a network sees whitened waves of all noise alike",
        )
    return Verdict("not confirmed", said)


def _mixture_tables(found: dict[str, Any]) -> list[Table]:
    about = "Trained (Gaussian surrogate) over the law's own floor, on the points learnt on."
    lines = [
        [name, str(one["not finite"]), str(one["ten times too large"]), str(one["members"])]
        for name, one in found["diverged"].items()
    ]
    return [
        score_table(found["scores"], ("log_spectral_distance", "w1", "sliced_w1"), about),
        Table(f"Samples. {STOPS}", ["study", "not finite", "ten times too large", "of"], lines),
    ]


def _flow(archive: Archive, families: dict[str, Family]) -> dict[str, Any]:
    (studies,) = families.values()
    costs = {
        name: resolution.evaluations(archive, study)
        for name, study in studies.items()
        if name.endswith(", 64")
    }
    return {
        "scores": scored(archive, studies, FIELDS),
        "autocovariance": autocovariances(archive, studies),
        "evaluations": costs,
    }


def _flow_verdict(found: dict[str, Any]) -> Verdict:
    same = all(
        len({one["evaluations"] for one in each}) == 1 for each in found["evaluations"].values()
    )
    kept: dict[str, list[bool]] = {}  # by the model, on the points learnt on and finer ones
    for name, one in found["scores"].items():
        near = found["autocovariance"][name]["trained"]["ratio"] <= TWICE
        kept.setdefault(name.split(", ")[0], []).append(near and within(one, FIELDS, TWICE))
    good = [model for model, each in kept.items() if all(each)]
    worst = {
        name: max(
            found["autocovariance"][name]["trained"]["ratio"],
            *(one["trained"][score]["ratio"] for score in FIELDS),
        )
        for name, one in found["scores"].items()
    }
    said = (
        f"evaluations a member are {'the same' if same else 'not the same'} from 64 to 512 "
        "points; spectrum, autocovariance, structure functions and one-point law at most "
        + ", ".join(f"{number(value)} floors ({name})" for name, value in worst.items())
    )
    said += f"; within two floors on all grids: {', '.join(good) or 'none'}"
    if same and not kept["ddo"][0]:  # the paper's model, on the points that it learnt on
        return Verdict("beyond the budget", said)
    return Verdict("confirmed" if same and "ddo" in good else "not confirmed", said)


def _flow_tables(found: dict[str, Any]) -> list[Table]:
    about = "Trained (Gaussian surrogate) over the solver's own floor; learnt on 64 x 64 points."
    lines = [
        [name.removesuffix(", 64"), str(one["points"]), number(one["evaluations"]),
         number(one["seconds_per_member"])]
        for name, each in found["evaluations"].items()
        for one in each
    ]  # fmt: skip
    head = ["model", "points an axis", "evaluations a member", "seconds a member"]
    told = [
        [name, *(f"{number(each[who]['ratio'])}x" for who in ("trained", "gaussian"))]
        for name, each in found["autocovariance"].items()
    ]
    return [
        score_table(found["scores"], FIELDS, about),
        Table(
            "Autocovariance along the axes over the solver's own floor.",
            ["study", "trained", "Gaussian"],
            told,
        ),
        Table("Cost of a member.", head, lines),
    ]


ROWS = (
    Row(
        "ddo_mixture",
        PAPER,
        "a mixture of Gaussian processes, 1-D",
        ("ddo_mixture",),
        "trace-class noise gives spectra that do not depend on the resolution, white noise loses "
        "them, and no samples diverge",
        "a figure; its numbers are not to be had",
        _mixture,
        _mixture_verdict,
        _mixture_tables,
    ),
    Row(
        "ddo_navier_stokes",
        PAPER,
        "Gaussian forcings pushed through Navier-Stokes",
        ("ddo_navier_stokes",),
        "accurate samples at a fixed cost, independent of the resolution, and finer than trained",
        "figures; spectra, autocovariances and histograms in words",
        _flow,
        _flow_verdict,
        _flow_tables,
        gpu=True,
    ),
)
