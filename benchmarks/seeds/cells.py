"""Cells of the page's tables: values beside floors, and likelihoods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.markdown import number
from benchmarks.seeds.row import Table

TITLES = {
    "log_spectral_distance": "log-spectral distance",
    "structure_functions": "structure functions",
    "w1": "one-point W1",
    "sliced_w1": "sliced W1",
    "energy_distance": "energy distance",
    "classifier_auc": "classifier",
}


def score_table(found: Mapping[str, Any], names: Sequence[str], about: str) -> Table:
    """Scores of every study as multiples of the solver's own floor, with the Gaussian's behind."""
    head = ["study", *(TITLES.get(name, name) for name in names), "scores inside, of all"]
    lines = []
    for study, said in found.items():
        own, other = said["trained"], said["gaussian"]
        cells = [f"{_cell(own[name])} ({_cell(other[name])})" for name in names]
        inside = f"{own['inside']} ({other['inside']}) of {own['of']}"
        lines.append([study or "the page", *cells, inside])
    return Table(about, head, lines)


def _cell(score: Mapping[str, Any]) -> str:
    """A score over its floor where that is above 0, else by itself."""
    if score["floor"] > 0.2 * score["limit"]:
        return f"{number(score['ratio'])}x"
    return f"{score['value']:.2g}{'' if score['inside'] else ' out'}"


def likelihood_table(found: Mapping[str, Any], about: str) -> Table:
    """Bounds of every study beside the Gaussian's, in bits where pixels are whole numbers."""
    bits = any("bits_per_dimension" in said for said in found.values())
    unit = "bits" if bits else "nats"
    head = ["study", f"{unit} a dimension, at most", "Gaussian", "gain, nats a member", "members"]
    lines = [
        [
            study,
            _bound(said),
            f"{_gaussian(said):.3f}",
            f"{said['gain_per_member']:.0f} ± {said['gain_error']:.0f}",
            str(said["members"]),
        ]
        for study, said in found.items()
    ]
    return Table(about, head, lines)


def strength_table(found: Mapping[str, Any], about: str) -> Table:
    """Bounds along the strengths of the networks that were trained on a range of them."""
    ranged = {study: said["strengths"] for study, said in found.items() if "strengths" in said}
    strengths = [one["strength"] for one in next(iter(ranged.values()))] if ranged else []
    head = ["study", *(f"a = {a:.1f}" for a in strengths)]
    lines = [[study, *(f"{_value(one):.3f}" for one in each)] for study, each in ranged.items()]
    return Table(about, head, lines)


def _bound(said: Mapping[str, Any]) -> str:
    error = f" ± {said['bits_error']:.3f}" if "bits_error" in said else ""
    return f"{_value(said):.3f}{error}"


def _value(said: Mapping[str, Any]) -> float:
    """Bits, or nats as a bound from above: minus what is stored."""
    return float(said.get("bits_per_dimension", -said["nats_per_dimension"]))


def _gaussian(said: Mapping[str, Any]) -> float:
    bits = said.get("gaussian_bits_per_dimension")
    return float(-said["gaussian_nats_per_dimension"] if bits is None else bits)
