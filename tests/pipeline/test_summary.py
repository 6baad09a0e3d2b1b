"""The first sentences of the report on crafted tables, and what many scores at once allow."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import xarray as xr

from pushforward.evaluation import plain, restore
from pushforward.multiplicity import LEVEL, family_p, most_by_chance
from pushforward.score_families import FAMILIES, OTHERS, grouped
from pushforward.summary import behind, chance, state, verdict
from pushforward.verdicts import Drawn, Title, titles
from pushforward.verdicts import table as judged
from pushforward.verdicts import verdict as judge


def table(**columns: list[float]) -> xr.Dataset:
    count = len(columns["value"])
    coords = {
        "ensemble": ["trained"],
        "variable": ["u"],
        "score": list("abcdefgh")[:count],
        "title": ("score", [f"Score {letter}" for letter in "ABCDEFGH"[:count]]),
    }
    dims = ("ensemble", "variable", "score")
    return xr.Dataset({k: (dims, [[v]]) for k, v in columns.items()}, coords)


def test_the_verdict_counts_and_names_the_worst_first():
    nothing = table(value=[1.0, 1.0], ratio=[1.0, 1.0], inside=[True, True])
    assert verdict(nothing).startswith(
        "The trained ensemble cannot be told from the solver by any"
    )
    some = table(value=[1.0] * 3, ratio=[3.0, 7.0, 1.0], inside=[False, False, True])
    assert verdict(some) == (
        "The trained ensemble differs from the solver in 2 of 3 scores: "
        "score b (7.0 times the floor) and score a (3.0 times the floor)."
    )
    gaps = table(value=[1.0, np.nan], ratio=[np.nan, np.nan], inside=[False, False])
    assert verdict(gaps).endswith("in 1 of 1 scores: score a.")


def test_the_verdict_allows_for_what_chance_puts_outside():
    columns = {"value": [1.0] * 4, "ratio": [1.2, 1.0, 1.0, 1.0]}
    columns |= {"inside": [False, True, True, True], "z": [2.0, 0.0, 0.0, 0.0]}
    most = {"chance_most": ("ensemble", [2])}
    near = table(**columns, p=[0.02, 0.3, 0.4, 0.5], p_family=[0.3, 1, 1, 1])
    near = near.assign(most).assign_attrs(splits=200)
    assert verdict(near) == (
        "The trained ensemble cannot be told from the solver: 1 of 4 scores lies outside "
        "(score a (1.2 times the floor)), no more and no farther than chance takes members of one "
        "law."
    )
    assert chance(near).endswith("in at most 2 in 98.3% of 200 permutations; here it is 1.")
    far = near.copy()
    far["p_family"] = near.p_family.copy(data=[[[1 / 201, 1, 1, 1]]])
    assert verdict(far).startswith("The trained ensemble differs from the solver in 1 of 4")
    many = near.copy()
    many["inside"] = near.inside.copy(data=[[[False, False, False, True]]])
    assert "cannot be told" in verdict(many)  # limits from splits may be too near
    many["p"] = near.p.copy(data=[[[0.02, 0.03, 0.04, 0.5]]])
    assert verdict(many).startswith("The trained ensemble differs from the solver in 3 of 4")
    many["inside"] = near.inside.copy(data=[[[True, True, True, True]]])  # or too far
    assert verdict(many).startswith("The trained ensemble differs from the solver in 3 of 4")
    beyond = near.assign(beyond_floor=("ensemble", [True]))
    assert verdict(beyond).startswith(
        "Whether the trained ensemble differs from the solver is und"
    )
    assert (state(near, "trained"), state(beyond, "trained")) == ("not told", "undecided")
    few = near.assign_attrs(splits=20)
    assert verdict(few).endswith("so few splits as 20 cannot tell whether that is chance.")


def test_an_infinite_score_is_the_farthest_and_survives_the_archive():
    columns = {"value": [1.0, np.inf], "ratio": [9.0, np.inf], "inside": [False, False]}
    infinite = restore(json.loads(json.dumps(plain(table(**columns)), allow_nan=False)))
    assert np.isinf(infinite.value.values[0, 0]).tolist() == [False, True]
    assert verdict(infinite) == (
        "The trained ensemble differs from the solver in 2 of 2 scores: "
        "score b (infinite) and score a (9.0 times the floor)."
    )


def test_splits_without_a_value_are_no_evidence():
    null, title = torch.tensor([1.0, torch.nan, 2.0, 3.0]), Title("W1", "")
    row = judge(2.5, torch.tensor([2.5]), null, null, title)
    assert row["p"] == pytest.approx(0.5)
    assert row["inside"]
    nothing = judge(2.5, torch.tensor([2.5]), null, null[1:2], title)
    assert np.isnan([nothing["value"], nothing["p"]]).all()


def test_a_score_that_is_not_known_hides_no_other_and_counts_for_nothing():
    null = torch.linspace(0, 1, 200)
    unknown = Drawn(null, [torch.cat([torch.tensor([torch.nan]), null])] * 2)
    far, near = (
        Drawn(null, [torch.cat([torch.tensor([v]), null]), torch.cat([null[:1], null])])
        for v in (50.0, 0.5)
    )
    words = {name: Title(name, "") for name in "abc"}
    gap = Drawn(null, [unknown.values[0], far.values[1]])  # of the first ensemble alone
    for drawn, expected in ((far, [True, False]), (near, [False, False])):
        found = judged({"u": {"a": gap, "b": drawn, "c": near}}, ["one", "two"], words, {})
        assert found.beyond_floor.values.tolist() == expected
        assert found.p.sel(ensemble="one", score="a").isnull().all()


def test_signed_scores_are_named_with_their_z():
    one = table(value=[0.1], ratio=[np.nan], z=[31.2], inside=[False], p_family=[0.005])
    assert verdict(one).endswith("in 1 of 1 scores: score a (z = 31).")


def test_one_training_is_no_claim_and_three_are():
    assert "nothing about the method" in behind(1)
    assert "nothing about the method" in behind(2)
    assert behind(3, 0.5).startswith("3 trainings that differ in their seed")
    assert "50% of the scores are inside for all of them" in behind(3, 0.5)
    row = table(value=[1.0] * 8, inside=[True] * 8)
    assert chance(row).endswith("p <= 5% in 0.4 of 8 scores on average.")


def test_of_the_null_at_most_one_in_forty_is_farther_than_the_farthest():
    generator = torch.Generator().manual_seed(3)
    nulls = torch.randn(20, 20, 200, generator=generator)
    nulls = nulls + torch.randn(20, 1, 200, generator=generator)  # 20 scores share half of it
    plain, together, small = 0, 0, [False] * 20
    for i in range(200):
        scores = nulls[i % 20]
        own, rest = scores[:, i], torch.cat([scores[:, :i], scores[:, i + 1 :]], 1)
        together += bool((family_p(own, rest, small) <= LEVEL).any())
        plain += bool(((1 + (rest >= own[:, None]).sum(1)) / 200 <= LEVEL).any())
    allowed = 200 * LEVEL + 4 * (200 * LEVEL * (1 - LEVEL)) ** 0.5
    assert together <= allowed < plain  # each score by itself refuses far too often
    far = torch.full((20,), 20.0)
    assert float(family_p(far, nulls[0], small).max()) == pytest.approx(1 / 201)
    assert 2 <= most_by_chance(nulls[0], small) <= 12


def test_every_score_has_a_family_and_only_one():
    known = [name for family in FAMILIES for name in family.names]
    assert len(known) == len({*known})
    assert {*titles()} <= {*known}
    assert OTHERS not in [family for family, _ in grouped(titles())]
