"""Rows of denoising diffusion operators (Lim et al., arXiv:2302.07400): phases and digits."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import number
from benchmarks.seeds import phases
from benchmarks.seeds.cells import score_table
from benchmarks.seeds.ddo import FIELDS, PAPER, TWICE
from benchmarks.seeds.row import Family, Row, Table, Verdict
from benchmarks.seeds.scored import scored
from pushforward import Archive

# W1 of circular variance and skewness of 1024 samples against all 4096 real interferograms: learnt
# and drawn on 120 points, and learnt on 60 and drawn on 120
PUBLISHED = {"60": (0.0174, 0.0516), "120": (0.0410, 0.1119)}


def _volcano(archive: Archive, families: dict[str, Family]) -> dict[str, Any]:
    (studies,) = families.values()
    return {
        "circular": phases.circular(archive, studies),
        "scores": scored(archive, studies, FIELDS),
    }


def _volcano_verdict(found: dict[str, Any]) -> Verdict:
    own = {name: one["trained"]["total"] for name, one in found["circular"].items()}
    said = "; ".join(
        f"learnt on 60, drawn on {name}: W1 of both together {one['value']:.3f}, two sets of the "
        f"law's own {one['floor']:.3f}"
        for name, one in own.items()
    )
    said += (
        f" (published, of real ones and of more members, learnt and drawn on 120: "
        f"{sum(PUBLISHED['60']):.3f}, learnt on 60 and drawn on 120: {sum(PUBLISHED['120']):.3f})"
    )
    control = max(one["gaussian"]["total"]["value"] for one in found["circular"].values())
    said += f"; an untrained surrogate's {control:.3f} at most"
    if max(one["value"] for one in own.values()) >= control:
        return Verdict("beyond the budget", f"{said}: nothing is gained yet where these look")
    met = all(one["value"] <= TWICE * one["floor_high"] for one in own.values())
    return Verdict("confirmed" if met else "not confirmed", said)


def _volcano_tables(found: dict[str, Any]) -> list[Table]:
    head = ["points", "ensemble", "statistic", "W1", "solver v solver", "its 95 %", "published"]
    published = {
        (points, statistic): f"{value:.4f}"
        for points, pair in PUBLISHED.items()
        for statistic, value in zip(("variance", "skewness"), pair, strict=True)
    }
    lines = [
        [points, ensemble, statistic, f"{one['value']:.4f} ± {one['error']:.4f}",
         f"{one['floor']:.4f}", f"{one['floor_high']:.4f}", published.get((points, statistic), "")]
        for points, sets in found["circular"].items()
        for ensemble, each in sets.items()
        for statistic, one in each.items()
    ]  # fmt: skip
    about = (
        "Distances of circular statistics. Published: of real interferograms, learnt on 120 (in "
        "the lines of 60) and learnt on 60 and drawn on 120."
    )
    scores = "Scores of (cos, sin), trained (Gaussian surrogate) over the law's own floor."
    return [Table(about, head, lines), score_table(found["scores"], FIELDS, scores)]


def _digits(archive: Archive, families: dict[str, Family]) -> dict[str, Any]:
    (studies,) = families.values()
    return {"scores": scored(archive, studies, DIGITS)}


DIGITS = ("log_spectral_distance", "w1", "sliced_w1", "energy_distance")


def _digits_verdict(found: dict[str, Any]) -> Verdict:
    ratios = {name: one["trained"]["sliced_w1"]["ratio"] for name, one in found["scores"].items()}
    near = max(ratios.values()) <= TWICE
    said = "sliced W1 to the test set over its floor: " + ", ".join(
        f"{number(ratio)} on {name}" for name, ratio in ratios.items()
    )
    said += (
        "; finer grids show the same functions by construction, since these distances have no "
        "waves beyond 32 points"
    )
    if next(iter(ratios.values())) > TWICE:  # on the points that it learnt on
        return Verdict("beyond the budget", said)
    return Verdict("confirmed" if near else "not confirmed", said)


def _digits_tables(found: dict[str, Any]) -> list[Table]:
    about = "Trained (Gaussian surrogate) against digits of the test set, over their own floor."
    return [score_table(found["scores"], DIGITS, about)]


ROWS = (
    Row(
        "ddo_volcano",
        PAPER,
        "interferograms of volcanoes (synthetic)",
        ("ddo_volcano",),
        "circular statistics of samples are those of the data (and better than a GAN's, which is "
        "not tried here)",
        "W1 of variance 0.0174, of skewness 0.0516; learnt on 60, drawn on 120: 0.0410, 0.1119",
        _volcano,
        _volcano_verdict,
        _volcano_tables,
        gpu=True,
        note="The published files are not to be had; the law of these is in "
        "`solvers/interferograms.py`.",
    ),
    Row(
        "ddo_mnist_sdf",
        PAPER,
        "signed distances of MNIST",
        ("ddo_mnist_sdf",),
        "trained at 64, sampled at 64, 128 and 256 without loss",
        "a FID of masks by an Inception network; its numbers are not to be had",
        _digits,
        _digits_verdict,
        _digits_tables,
        gpu=True,
    ),
)
