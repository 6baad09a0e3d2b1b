"""Sources of data are read from a page, and mistakes in them are told in one sentence."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from pushforward.families import AnySource
from pushforward.mistakes import sentence
from pushforward.solvers import GaussianField, GaussianMixture, Grid, Interferograms, Ramp

STATIONARY = "field: {kind: stationary, kernel: squared_exponential, length: 0.1"
PAGES = {
    "ddo": f"""
        kind: gaussian_mixture
        means: [{{slope: [10], offset: -5}}, {{slope: [-10], offset: 5}}]
        {STATIONARY}, deviation: 0.6324555320336759}}
    """,
    "multilevel": """
        kind: gaussian_mixture
        means: [{slope: [0, 64]}, {slope: [-64, 0], offset: 64}]
        field: {kind: matern, exponent: 1.1, length: 0.1}
        smooth: true
    """,
    "volcano": """
        kind: interferograms
        sources: [0, 1]
        turbulence: {kind: matern, exponent: 1.8333333333333333, length: 4000, deviation: 0.004}
        decorrelation: null
    """,
}


class Page(BaseModel, extra="forbid"):
    data: AnySource


def read(text: str) -> Any:
    return Page.model_validate({"data": yaml.safe_load(text)}).data


def test_sources_are_read_from_a_page() -> None:
    assert read(PAGES["ddo"]) == GaussianMixture()
    field = GaussianField.matern(1.1, 0.1)
    means = (Ramp((0.0, 64.0)), Ramp((-64.0, 0.0), 64.0))
    assert read(PAGES["multilevel"]) == GaussianMixture(means=means, field=field, smooth=True)
    air = GaussianField.matern(11 / 6, 4000.0, deviation=0.004)
    expected = Interferograms(sources=(0, 1), turbulence=air, decorrelation=None)
    assert read(PAGES["volcano"]) == expected
    assert read("kind: interferograms") == Interferograms()


@pytest.mark.parametrize(
    ("name", "grid"),
    [
        ("ddo", Grid((16,), (1.0,), "neumann")),
        ("multilevel", Grid((16, 16), (1.0, 1.0))),
        ("volcano", Grid((16, 16), (12e3, 12e3), "neumann")),
    ],
)
def test_sources_keep_their_contract(name: str, grid: Grid) -> None:
    source = read(PAGES[name])
    assert grid.boundary in source.boundary
    source.check(grid, 3)
    assert source.draw(range(3), grid, seed=1).shape == (3, len(source.channels), *grid.shape)
    assert isinstance(hash(source), int)


@pytest.mark.parametrize(
    ("text", "where", "remedy"),
    [
        ("kind: interferogram", "data.kind: ", "did you mean interferograms?"),
        ("{kind: interferograms, source: [1, 2]}", "data.source: ", "did you mean sources?"),
        ("{kind: interferograms, depth: [2, 1]}", "data: ", "swap or raise them"),
        (
            "{kind: gaussian_mixture, means: [{slop: [1]}]}",
            "data.means.0.slop: ",
            "did you mean slope?",
        ),
        (f"{{kind: gaussian_mixture, {STATIONARY}, deviation: -1}}}}", "data.field: ", "finite"),
        (
            f"{{kind: gaussian_mixture, {STATIONARY}, lenght: 1}}}}",
            "data.field.lenght: ",
            "length",
        ),
        (
            "{kind: gaussian_mixture, field: {kind: matern, exponet: 1}}",
            "data.field.exponet: ",
            "exponent?",
        ),
        ("{kind: gaussian_mixture, field: {kind: matern, length: 0}}", "data.field: ", "length"),
        ("{kind: gaussian_mixture, field: {kind: matrn}}", "data.field.kind: ", "matern?"),
    ],
)
def test_a_mistake_in_a_source_is_one_sentence(text: str, where: str, remedy: str) -> None:
    with pytest.raises(ValidationError) as refused:
        read(text)
    said = sentence(refused.value, Page)
    assert said.startswith(where)
    assert remedy in said
    assert "\n" not in said
