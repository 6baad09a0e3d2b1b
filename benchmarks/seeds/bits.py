"""Likelihoods that trainings measured on members they held out: bits or nats a dimension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.seeds.row import Family, Verdict
from pushforward import Archive, Study
from pushforward.spec import Training
from pushforward.training import LIKELIHOOD

NEAR = 1.1  # times a published number of bits, within which a claim can be judged
KEYS = (
    "bits_per_dimension",
    "bits_error",
    "gaussian_bits_per_dimension",
    "nats_per_dimension",
    "gaussian_nats_per_dimension",
    "gain_per_member",
    "gain_error",
    "members",
)


def likelihoods(archive: Archive, studies: Mapping[str, Study]) -> dict[str, Any]:
    """The bounds of every network, and along the strengths of its path where it has a range.

    One that several studies draw from is called by what their names have in common.
    """
    names: dict[Training, list[str]] = {}
    for name, study in studies.items():
        names.setdefault(study.training, []).append(name)
    found = {}
    for training, each in names.items():
        name, said = common(each), archive.read_json(training, LIKELIHOOD)
        found[name] = {key: said[key] for key in KEYS if key in said}
        if "strengths" in said:
            found[name]["strengths"] = [
                {key: one[key] for key in ("strength", *KEYS[:6]) if key in one}
                for one in said["strengths"]
            ]
    return found


def common(names: Sequence[str]) -> str:
    """The parts that all of some names of variants have.

    >>> common(["haar, a 0.4", "haar, a 1"]), common(["haar, white"])
    ('haar', 'haar, white')
    """
    first, *others = (name.split(", ") for name in names)
    return ", ".join(part for part in first if all(part in other for other in others))


def held_out(archive: Archive, families: dict[str, Family]) -> dict[str, Any]:
    """The measure of a row of one page that is about bounds alone."""
    (studies,) = families.values()
    return {"likelihoods": likelihoods(archive, studies)}


def compared(told: Sequence[tuple[Mapping[str, Any], float]], said: str) -> Verdict:
    """The verdict on bounds beside published ones: judged where all come near them."""
    bits = [(one["bits_per_dimension"], published) for one, published in told]
    if not bits or any(own > NEAR * published for own, published in bits):
        return Verdict("beyond the budget", said)
    met = all(own <= published for own, published in bits)
    return Verdict("confirmed" if met else "not confirmed", said)
