"""Verdicts follow from numbers: each row's rule confirms what it should, and nothing else."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from benchmarks.seeds.__main__ import ROWS

VERDICT = {row.name: row.verdict for row in ROWS}


def scores(**ratios: float) -> dict[str, Any]:
    """A study's scores, the named ones at these multiples of the floor, the others at 1."""
    names = (
        "log_spectral_distance", "structure_functions", "w1", "sliced_w1", "energy_distance"
    )  # fmt: skip
    return {"trained": {name: {"ratio": ratios.get(name, 1.0)} for name in names}}


def mixture(white: float = 3.0, trace: float = 1.2, w1: float = 1.5, lost: int = 0) -> Any:
    names = [f"{noise}, {points}" for noise in ("trace class", "white") for points in (64, 256)]
    spectra = {"trace class": trace, "white": white}
    found = {
        name: scores(log_spectral_distance=spectra[name.split(",")[0]], w1=w1) for name in names
    }
    diverged = {name: {"not finite": lost, "ten times too large": 0} for name in names}
    return {"scores": found, "diverged": diverged}


def flow(far: float = 1.0, **ratios: float) -> Any:
    """By model and points, as in ddo_64."""
    found = {key.replace("_", ", "): scores(w1=value) for key, value in ratios.items()}
    near = {name: {"trained": {"ratio": 1.0}} for name in found}
    near["ddo, 128"] = {"trained": {"ratio": far}}
    costs = {"ddo, 64": [{"evaluations": 20}] * 4}
    return {"scores": found, "autocovariance": near, "evaluations": costs}


def circular(value: float, control: float = 0.5) -> Any:
    one = {"value": value, "floor": 0.02, "floor_high": 0.03}
    both = {"trained": {"total": one}, "gaussian": {"total": one | {"value": control}}}
    return {"circular": {points: both for points in ("60", "120")}}


def plates(shift: float, deviation: float) -> Any:
    names = {"trained, reverse diffusion": shift, "other chains": 0.08, "prior": 2.7}
    rows = [
        {"view": view, "ensemble": name, "shift": far, "deviation": deviation}
        for view in ("points", "picture")
        for name, far in names.items()
    ]
    return {"posterior": {"rows": rows}}


def digits(
    trace: float, standard: tuple[float, float], speed: float | None, finer: float | None = None
) -> Any:
    found = {}
    for prior in ("bessel", "laplacian", "combined"):
        for points, ratio in ((32, trace), (64, finer or trace)):
            found[f"{prior}, {points}"] = scores(sliced_w1=ratio)
    for points, ratio in zip((32, 64), standard, strict=True):
        found[f"standard, {points}"] = scores(sliced_w1=ratio)
    return {"scores": found, "race": {"ratio": speed}}


def bounds(**bits: float) -> Any:
    return {
        name.replace("_", "-"): {
            "bits_per_dimension": value,
            "bits_error": 0.02,
            "gaussian_bits_per_dimension": 3.0,
        }
        for name, value in bits.items()
    }


def coloured(vp: float) -> Any:
    return {"cifar10, vp": bounds(vp=vp)["vp"]}


def diffusions(dear: float = 1.05, **bits: float) -> Any:
    times = {"automatic": {"seconds": dear}, "analytic": {"seconds": 1.0}}
    return {"likelihoods": bounds(**bits), "kernels": {"mnist": times}}


def grid(best: float, right: bool = True, width: float = 0.1) -> Any:
    each = [
        {"strength": a, "nats_per_dimension": -2 - width * abs(a - best)} for a in (0.4, 1.0, 1.6)
    ]
    good = [
        {"strength": a, "nats_per_dimension": -2 - width * abs(a - 1)} for a in (0.4, 1.0, 1.6)
    ]
    return {
        "digits": {"haar": {"strengths": each}},
        "flow": {"haar": {"strengths": good}},  # not to be taken for the digits'
        "columns": {"right": right, "said": "strips go on"},
    }


ONE = {"relative": 0.0, "share": 0.4, "linear_error": 0.5}
CASES = [
    ("ddo_mixture", mixture(), "confirmed"),
    ("ddo_mixture", mixture(white=1.1), "not confirmed"),
    ("ddo_mixture", mixture(trace=2.5, white=9.0), "not confirmed"),
    ("ddo_mixture", mixture(w1=20.0), "not confirmed"),
    ("ddo_mixture", mixture(lost=1), "not confirmed"),
    ("ddo_navier_stokes", flow(ddo_64=1, ddo_128=1.5, gud_64=9, gud_128=9), "confirmed"),
    ("ddo_navier_stokes", flow(ddo_64=1, ddo_128=50, gud_64=1, gud_128=1), "not confirmed"),
    ("ddo_navier_stokes", flow(far=3, ddo_64=1, ddo_128=1, gud_64=1), "not confirmed"),
    ("ddo_navier_stokes", flow(ddo_64=40, ddo_128=50, gud_64=1, gud_128=1), "beyond the budget"),
    ("ddo_volcano", circular(0.05), "confirmed"),
    ("ddo_volcano", circular(0.07), "not confirmed"),
    ("ddo_volcano", circular(0.05, control=0.05), "beyond the budget"),
    ("ddo_mnist_sdf", {"scores": {"64": scores(sliced_w1=1.5)}}, "confirmed"),
    ("ddo_mnist_sdf", {"scores": {"64": scores(sliced_w1=15)}}, "beyond the budget"),
    (
        "ddo_mnist_sdf",
        {"scores": {"64": scores(sliced_w1=1), "256": scores(sliced_w1=30)}},
        "not confirmed",
    ),
    ("ddo_darcy", plates(0.2, 1.1), "confirmed"),
    ("ddo_darcy", plates(0.2, 1.5), "not confirmed"),
    ("ddo_darcy", plates(1.0, 1.0), "not confirmed"),
    ("multilevel_mixture", {"errors": {"32": ONE | {"error": 0.09}}}, "confirmed"),
    ("multilevel_mixture", {"errors": {"32": ONE | {"error": 0.11}}}, "not confirmed"),
    ("multilevel_mnist", digits(1.5, (1.5, 4.0), 0.6), "confirmed"),
    ("multilevel_mnist", digits(1.5, (1.5, 1.5), 0.6), "not confirmed"),
    ("multilevel_mnist", digits(1.5, (1.5, 4.0), 0.99), "not confirmed"),
    ("multilevel_mnist", digits(1.5, (1.5, 4.0), None), "not confirmed"),
    ("multilevel_mnist", digits(30, (30, 90), 0.6), "beyond the budget"),
    ("multilevel_mnist", digits(1.5, (1.5, 4.0), 0.6, finer=30), "not confirmed"),
    ("multilevel_fitzhugh_nagumo", digits(1.5, (1.5, 1.5), None), "confirmed"),
    ("multilevel_fitzhugh_nagumo", digits(1.5, (1, 1), None, finer=9), "not confirmed"),
    ("multilevel_fitzhugh_nagumo", {"scores": {"bessel, 32": scores(w1=4)}}, "beyond the budget"),
    ("gud_grid", grid(1.0), "confirmed"),
    ("gud_grid", grid(0.4), "not confirmed"),
    ("gud_grid", grid(1.0, right=False), "not confirmed"),
    ("gud_grid", grid(1.0, width=2.0), "not confirmed"),
    ("gud_images", {"likelihoods": bounds(cifar10=3.1)}, "confirmed"),
    ("gud_images", {"likelihoods": bounds(cifar10=3.3)}, "not confirmed"),
    ("gud_images", {"likelihoods": bounds(cifar10=5.0)}, "beyond the budget"),
    ("gud_images", {"likelihoods": {}}, "beyond the budget"),
    ("mdm_mnist", diffusions(vp=1.1, cld=1.2, learned_2=1.1, learned_3=1.3), "confirmed"),
    ("mdm_mnist", diffusions(vp=1.1, cld=1.2, learned_2=1.3, learned_3=1.3), "not confirmed"),
    ("mdm_mnist", diffusions(dear=2, vp=1.1, learned_2=1.0), "not confirmed"),
    ("mdm_mnist", diffusions(vp=2.1, cld=2.2, learned_2=2.1), "beyond the budget"),
    ("mdm_images", {"likelihoods": {}}, "beyond the budget"),
    ("mdm_images", {"likelihoods": coloured(3.3)}, "confirmed"),
    ("mdm_images", {"likelihoods": coloured(3.4)}, "not confirmed"),
    ("mdm_images", {"likelihoods": coloured(5.0)}, "beyond the budget"),
]


@pytest.mark.parametrize(("row", "found", "word"), CASES)
def test_a_verdict_follows_from_the_numbers(row: str, found: Any, word: str) -> None:
    before = deepcopy(found)
    verdict = VERDICT[row](found)
    assert verdict.word == word
    assert found == before
    assert verdict.why
    assert "\n" not in verdict.why


def test_every_row_can_be_refused() -> None:
    words: dict[str, set[str]] = {}
    for row, _, word in CASES:
        words.setdefault(row, set()).add(word)
    assert set(words) == set(VERDICT)
    judged = {row for row, found in words.items() if "not confirmed" in found}
    assert judged == set(VERDICT)
