"""Rows of multilevel diffusion (Hagemann et al., arXiv:2303.04772)."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import number
from benchmarks.seeds import mixtures, warm
from benchmarks.seeds.cells import TITLES, score_table
from benchmarks.seeds.row import Family, Row, Table, Verdict
from benchmarks.seeds.scored import scored
from pushforward import Archive

PAPER = "Multilevel"
SCORES = ("log_spectral_distance", "w1", "sliced_w1", "energy_distance")
KNOWN = 0.1  # relative L2 error that a score may have
TWICE = 2.0
SOONER = 0.9  # of the cold start's time, to be called sooner


def _mixture(archive: Archive, families: dict[str, Family]) -> dict[str, Any]:
    (studies,) = families.values()
    return {
        "errors": mixtures.score_errors(archive, studies),
        "scores": scored(archive, studies, SCORES),
    }


def _mixture_verdict(found: dict[str, Any]) -> Verdict:
    errors = {name: one["error"] for name, one in found["errors"].items()}
    said = "relative L2 error of the score along the path: " + ", ".join(
        f"{number(one['error'])} on {name} x {name} points (the best linear one's: "
        f"{number(one['linear_error'])}; {one['share']:.0%} of what is not linear is missed)"
        for name, one in found["errors"].items()
    )
    return Verdict("confirmed" if max(errors.values()) <= KNOWN else "not confirmed", said)


def _mixture_tables(found: dict[str, Any]) -> list[Table]:
    lines = [
        [
            name,
            f"{one['error']:.4f}",
            f"{one['linear_error']:.4f}",
            f"{one['share']:.3f}",
            str(one["members"]),
        ]
        for name, one in found["errors"].items()
    ]
    head = ["points an axis", "relative error of the score", "of the best linear one",
            "share of what is not linear that is missed", "members"]  # fmt: skip
    about = "Trained (Gaussian surrogate) over the law's own floor."
    return [
        Table("Against the score in closed form, in units of the noise and in L2.", head, lines),
        score_table(found["scores"], SCORES, about),
    ]


def _digits(archive: Archive, families: dict[str, Family]) -> dict[str, Any]:
    return {
        "scores": scored(archive, families["multilevel_mnist"], SCORES),
        "race": warm.race(archive, families["multilevel_warm_start"]),
    }


def _by_prior(found: dict[str, Any], score: str) -> dict[str, list[float]]:
    """The ratios of every prior to the floor, coarse to fine."""
    out: dict[str, list[float]] = {}
    for name, one in found["scores"].items():
        out.setdefault(name.split(", ")[0], []).append(one["trained"][score]["ratio"])
    return out


def _said(ratios: dict[str, list[float]]) -> str:
    return "; ".join(f"{prior} {', '.join(map(number, each))}" for prior, each in ratios.items())


def _digits_verdict(found: dict[str, Any]) -> Verdict:
    ratios, speed = _by_prior(found, "sliced_w1"), found["race"]["ratio"]
    said = f"sliced W1 over its floor on 32, 50, 64 points: {_said(ratios)}"
    said += (
        f"; a warm start reaches the cold one's loss in {number(speed)} of its time"
        if speed is not None
        else "; a warm start does not reach the cold one's loss"
    )
    trace = [each for prior, each in ratios.items() if prior != "standard"]
    said += (
        "; finer grids hold nothing that 32 points lack, and a surrogate's functions are the same "
        "on all, with white noise, too"
    )
    if min(each[0] for each in trace) > TWICE:  # on the points that they learnt on
        return Verdict("beyond the budget", said)
    kept = min(map(max, trace)) <= TWICE
    lost = max(ratios["standard"]) > 1.25 * ratios["standard"][0]
    sooner = speed is not None and speed <= SOONER
    return Verdict("confirmed" if kept and lost and sooner else "not confirmed", said)


def _digits_tables(found: dict[str, Any]) -> list[Table]:
    race = found["race"]
    lines = [
        [name, number(one["seconds"]), f"{one['loss']:.4f}", number(one["reached_seconds"]),
         number(one["reached_cost"])]
        for name, one in race["starts"].items()
    ]  # fmt: skip
    head = ["start", "seconds", "held-out loss at the end", "seconds to the cold one's loss",
            "the same in steps on the finest grid"]  # fmt: skip
    about = "Trained (Gaussian surrogate) against digits of the test set, over their own floor."
    return [
        score_table(found["scores"], SCORES, about),
        Table("Warm and cold: the cold one's loss is met within 2 %.", head, lines),
    ]


def _cells(archive: Archive, families: dict[str, Family]) -> dict[str, Any]:
    (studies,) = families.values()
    return {"scores": scored(archive, studies, SCORES)}


def _cells_verdict(found: dict[str, Any]) -> Verdict:
    judged = ("sliced_w1", "w1", "log_spectral_distance")
    ratios = {score: _by_prior(found, score) for score in judged}
    said = "over their floors on 32 to 256 points: " + "; ".join(
        f"{TITLES[score]}: {_said(each)}" for score, each in ratios.items()
    )
    priors = [prior for prior in ratios["w1"] if prior != "white"]
    learnt = [max(each[prior][0] for each in ratios.values()) for prior in priors]
    if min(learnt) > TWICE:  # on the points that they learnt on
        return Verdict("beyond the budget", said)
    most = max(max(each[prior]) for each in ratios.values() for prior in priors)
    return Verdict("confirmed" if most <= TWICE else "not confirmed", said)


def _cells_tables(found: dict[str, Any]) -> list[Table]:
    about = (
        "The worse of both species, trained (Gaussian surrogate) over the solver's own floor; "
        "learnt on 32 x 32 points."
    )
    return [score_table(found["scores"], SCORES, about)]


ROWS = (
    Row(
        "multilevel_mixture",
        PAPER,
        "a mixture of Gaussian fields, 2-D",
        ("multilevel_mixture",),
        "a score learnt on 32 x 32 points is right there and on 64 x 64",
        "curves; their numbers are not to be had",
        _mixture,
        _mixture_verdict,
        _mixture_tables,
    ),
    Row(
        "multilevel_mnist",
        PAPER,
        "MNIST from 32 to 50 and 64 points, and a warm start",
        ("multilevel_mnist", "multilevel_warm_start"),
        "trace-class priors keep the quality on grids finer than the training's, white noise does "
        "not; a warm start on a coarse grid reaches a quality sooner",
        "a table of sliced Wasserstein distances and curves; their numbers are not to be had",
        _digits,
        _digits_verdict,
        _digits_tables,
        gpu=True,
    ),
    Row(
        "multilevel_fitzhugh_nagumo",
        PAPER,
        "FitzHugh-Nagumo, learnt on 32 x 32, drawn up to 256 x 256",
        ("multilevel_fitzhugh_nagumo",),
        "samples of a network that saw 32 x 32 points are right on up to 256 x 256",
        "a table of a distance of means and variances to training fields; not to be had",
        _cells,
        _cells_verdict,
        _cells_tables,
        gpu=True,
    ),
)
