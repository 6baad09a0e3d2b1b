"""The report's first words: can the ensemble be told from the solver's, and who may claim so.

All sentences are computed from the table of scores. Of many scores some are outside by chance, so
an ensemble is said to differ when more scores have p <= 5% than members shuffled between it and
the solver have, or when one is farther than the farthest of all scores is there
(`pushforward.multiplicity`). It cannot be told when neither these shuffles nor splits of the
solver's members say so; where only the splits do, it is undecided.
How good one trained surrogate is says little of the method: that takes several trainings.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import xarray as xr

from pushforward.archive import Archive
from pushforward.claims import SEEDS
from pushforward.multiplicity import ALONE, LEVEL
from pushforward.spec import Evaluation, restore

NAMED = 4  # scores in the sentence
SMALL = ("Fréchet", "MMD", "POD", "W₁", "AUC")  # words that stay as they are in a sentence


def verdict(scores: xr.Dataset, ensemble: str = "trained") -> str:
    """One sentence: whether the ensemble can be told from the solver, and by which scores.

    >>> columns = {"value": [1.0, 9.0], "ratio": [1.0, 4.5], "p": [0.5, 0.01],
    ...     "p_family": [0.9, 0.01], "inside": [1, 0]}
    >>> scores = xr.Dataset(
    ...     {k: (("ensemble", "variable", "score"), [[v]]) for k, v in columns.items()}
    ...     | {"chance_most": ("ensemble", [1])},
    ...     {"ensemble": ["trained"], "variable": ["u"], "score": ["w1", "flatness"],
    ...      "title": ("score", ["One-point W₁", "Flatness"])})
    >>> print(verdict(scores))
    The trained ensemble differs from the solver in 1 of 2 scores: flatness (4.5 times the floor).
    """
    found, total = told(scores, ensemble), count(scores, ensemble)
    name = f"The {'Gaussian' if ensemble == 'gaussian' else ensemble} ensemble"
    if not found and not differs(scores, ensemble):
        return (
            f"{name} cannot be told from the solver by any of the {total} scores: each lies "
            "inside what two independent sets of solver members differ by."
        )
    if not found:  # no score is outside its floor, but too many have a small p
        found = told(scores.assign(inside=scores.p > ALONE), ensemble)
    many = scores.sizes["variable"] > 1
    listed = [_called(row, many) for row in found[:NAMED]]
    if len(found) > NAMED:
        listed.append(f"{len(found) - NAMED} more")
    named = " and ".join(filter(None, [", ".join(listed[:-1]), listed[-1]]))
    if differs(scores, ensemble):
        return f"{name} differs from the solver in {len(found)} of {total} scores: {named}."
    if too_few(scores):
        return (
            f"{name} is outside in {len(found)} of {total} scores ({named}); so few splits as "
            f"{scores.attrs['splits']} cannot tell whether that is chance."
        )
    lie = "lies" if len(found) == 1 else "lie"
    if state(scores, ensemble) == "undecided":
        return (
            f"Whether the {name[4:]} differs from the solver is undecided: {len(found)} of "
            f"{total} scores {lie} outside ({named}), which is more or farther than in the "
            "solver's own sets; but shuffling members between it and the solver does not refuse "
            "chance, as when only a few members carry it."
        )
    return (
        f"{name} cannot be told from the solver: {len(found)} of {total} scores {lie} outside "
        f"({named}), no more and no farther than chance takes members of one law."
    )


def differs(scores: xr.Dataset, ensemble: str = "trained") -> bool:
    """Whether more scores have p <= 5% than chance allows, or one is farther than it allows."""
    if "chance_most" not in scores:  # of an earlier version: any score outside counts
        return bool(told(scores, ensemble))
    one = scores.sel(ensemble=ensemble)
    many = int((one.p <= ALONE).sum()) > one.chance_most.item()
    return many or one.p_family.min().item() <= LEVEL


def state(scores: xr.Dataset, ensemble: str) -> Literal["told", "undecided", "not told"]:
    """The verdict on an ensemble in a word or two: is it told from the solver?

    >>> columns = {"value": 1.0, "p": 0.01, "p_family": 0.01, "inside": False}
    >>> row = xr.Dataset({k: (("ensemble", "score"), [[v]]) for k, v in columns.items()}
    ...     | {"chance_most": ("ensemble", [1])}, {"ensemble": ["mine"]})
    >>> state(row, "mine"), state(row.assign(p_family=0.5 * xr.ones_like(row.p)), "mine")
    ('told', 'not told')
    """
    if differs(scores, ensemble):
        return "told"
    beyond = "beyond_floor" in scores and bool(scores.beyond_floor.sel(ensemble=ensemble))
    return "undecided" if beyond or too_few(scores) else "not told"


def too_few(scores: xr.Dataset) -> bool:
    """Whether no p can be small enough for so few permutations."""
    splits = scores.attrs.get("splits", math.inf)
    return "chance_most" in scores and (1 + splits) * LEVEL < 1


def chance(scores: xr.Dataset) -> str:
    """How many of so many scores are outside by chance, and how many are in this table, in words.

    >>> row = xr.Dataset(
    ...     {"p": (("ensemble", "score"), [[0.02] + [0.5] * 19]), "chance_most": ("ensemble", [4])},
    ...     {"ensemble": ["trained"]}, {"splits": 200}).assign(value=lambda x: x.p)
    >>> print(chance(row))
    Two sets of solver members have p <= 5% in 1.0 of 20 scores on average, and in at most 4 in 98.3% of 200 permutations; here it is 1.
    """  # noqa: E501
    total = count(scores, "trained")
    mean = f"{ALONE * total:.1f}"
    text = f"Two sets of solver members have p <= 5% in {mean} of {total} scores on average"
    if "chance_most" not in scores:
        return f"{text}."
    one = scores.sel(ensemble="trained")
    return (
        f"{text}, and in at most {one.chance_most.item()} in {1 - LEVEL:.1%} of "
        f"{scores.attrs['splits']} permutations; here it is {int((one.p <= ALONE).sum())}."
    )


def farther(scores: xr.Dataset, ensemble: str = "trained") -> str:
    """In how many scores it is farther than chance ever takes the farthest; empty if not known.

    >>> row = xr.Dataset({"p_family": (("ensemble", "score"), [[0.005, 1.0]])},
    ...     {"ensemble": ["trained"]})
    >>> print(farther(row))
    It is far outside in 1: farther than the farthest of all scores in 98.3% of permutations.
    """
    if "p_family" not in scores:
        return ""
    number = int((scores.p_family.sel(ensemble=ensemble) <= LEVEL).sum())
    return (
        f"It is far outside in {number or 'none'}: farther than the farthest of all scores in "
        f"{1 - LEVEL:.1%} of permutations."
    )


def trainings(evaluation: Evaluation, archive: Archive) -> list[str]:
    """The evaluations in an archive that differ from this one in the seed of training alone.

    This one is the first of them.
    """
    seed, names = evaluation.generation.training.seed, []
    for entry in archive.search(kind="evaluation"):
        values = entry.spec
        try:
            values["generation"]["training"]["seed"] = seed
            same = restore("evaluation", values).name == evaluation.name
        except (KeyError, ValueError):  # of another version
            continue
        if same and entry.sealed and entry.name != evaluation.name:
            names.append(entry.name)
    return [evaluation.name, *names]


def behind(seeds: int, inside: float = math.nan) -> str:
    """How many trainings stand behind the numbers, and what that allows to say.

    `inside` is the share of scores that are inside for every seed.

    >>> print(behind(1))
    One training stands behind these numbers: they say how good this trained surrogate is, and nothing about the method, which takes at least 3 trainings that differ in their seed.
    """  # noqa: E501
    if seeds < SEEDS:
        many = "One training stands" if seeds == 1 else f"{seeds} trainings stand"
        return (
            f"{many} behind these numbers: they say how good this trained surrogate is, and "
            f"nothing about the method, which takes at least {SEEDS} trainings that differ in "
            "their seed."
        )
    share = (
        "" if math.isnan(inside) else f"; {inside:.0%} of the scores are inside for all of them"
    )
    return (
        f"{seeds} trainings that differ in their seed are in this archive{share}. The numbers "
        "here are of one of them."
    )


def count(scores: xr.Dataset, ensemble: str) -> int:
    """How many scores there are, over all variables."""
    return int(scores.value.sel(ensemble=ensemble).notnull().sum())


def told(scores: xr.Dataset, ensemble: str) -> list[dict[str, Any]]:
    """The scores that are outside, those farthest from their floor first."""
    one, rows = scores.sel(ensemble=ensemble), []
    for variable in one.variable.values:
        for name in one.score.values:
            cell = one.sel(variable=variable, score=name)
            if not math.isnan(cell.value.item()) and not bool(cell.inside):
                z = cell["z"].item() if "z" in cell else math.nan
                facts = {key: cell[key].item() for key in ("title", "ratio")}
                rows.append({"variable": str(variable), "z": z, **facts})
    return sorted(rows, key=_near)


def _near(row: dict[str, Any]) -> float:
    """Minus how far a score is: in deviations of its floor, or else by its ratio."""
    known = [abs(row[key]) for key in ("z", "ratio") if not math.isnan(row[key])]
    return -known[0] if known else 0.0


def _called(row: dict[str, Any], many: bool) -> str:
    """A score in a sentence: its name, of what, and how far from its floor."""
    words = row["title"].split(" (")[0].split(" ")
    name = " ".join(word if word.strip(",²") in SMALL else word.lower() for word in words)
    of = f" of {row['variable']}" if many else ""
    if math.inf in (row["ratio"], row["z"]):
        return f"{name}{of} (infinite)"
    if math.isfinite(row["ratio"]) and row["ratio"] > 1:
        times = f"{row['ratio']:.1f}" if row["ratio"] < 1e4 else f"{row['ratio']:.0e}"
        return f"{name}{of} ({times} times the floor)"
    if not math.isfinite(row["z"]):
        return name + of
    sign = "−" if row["z"] < 0 else ""
    return f"{name}{of} (z = {sign}{abs(row['z']):.0f})"
