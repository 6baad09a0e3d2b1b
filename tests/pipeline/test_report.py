"""The report: whole, self-contained, and it says what the numbers say."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
import xarray as xr
import yaml
from PIL import Image

from pushforward import figures, page
from pushforward.evaluation import evaluate
from pushforward.report import default_title, report, verdict
from pushforward.solvers import Grid
from pushforward.study import Study

VOID = {"meta", "img", "br", "link", "input"}


class Reader(HTMLParser):
    """Checks that every element is closed, and keeps the text and the attributes."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text: list[str] = []
        self.links: list[str] = []
        self.headings: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [str(v) for k, v in attrs if k in ("src", "href", "xlink:href", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings.append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open
    return reader


@pytest.fixture
def made(lineage):
    evaluation, archive = lineage()
    scores = evaluate(evaluation, archive)
    path = report(evaluation, archive, title="Waves < in & a box", description="What it is.")
    return evaluation, archive, scores, path


def test_the_page_needs_nothing_but_itself(made):
    evaluation, archive, _, path = made
    assert path == archive.folder(evaluation) / "report.html"
    text = path.read_text()
    reader = read(text)
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in reader.links)
    assert "<script" not in text
    assert not re.search(r"@import|url\(http|src=.http|href=.http", text)
    anchors = {link[1:] for link in reader.links if link.startswith("#")}
    anchors |= set(re.findall(r"url\(#([^)]+)\)", text))
    assert anchors <= set(re.findall(r'id="([^"]+)"', text))
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_the_page_has_all_its_parts(made):
    evaluation, archive, scores, path = made
    reader = read(path.read_text())
    assert reader.headings == [
        "Waves < in & a box",
        "Samples",
        "Spectra and densities",
        "Scores",
        "Solver",
        "Training",
        "Use the ensemble",
        "Provenance",
    ]
    text = " ".join(" ".join(reader.text).split())
    study = Study(title="x", evaluation=evaluation)
    assert all(spec.name in text for spec in study.specs)
    assert verdict(scores) in text
    for title in scores.title.values:
        assert str(title) in text
    assert f"pushforward run study.yaml --root {archive.root}" in text
    assert "held-out loss" in text
    assert "Calibration on held-out members" in text
    cells = re.findall(r'<td class="word">.*?</td>', path.read_text())
    assert len(cells) == scores.value.size
    words = sum("<b>outside</b>" in cell for cell in cells)
    assert words == int((~scores.inside).sum())
    assert words + sum('<span class="in">inside</span>' in cell for cell in cells) == len(cells)


def test_the_study_on_the_page_is_the_study(made):
    evaluation, _, _, path = made
    blocks = re.findall(r"<pre>(.*?)</pre>", path.read_text(), flags=re.S)
    values = yaml.safe_load(blocks[-1].replace("&lt;", "<").replace("&amp;", "&"))
    study = Study.model_validate(values)
    assert study.evaluation.name == evaluation.name
    assert study.title == "Waves < in & a box"


def test_the_code_on_the_page_opens_the_ensemble(made):
    _, archive, _, path = made
    blocks = re.findall(r"<pre>(.*?)</pre>", path.read_text(), flags=re.S)
    code = blocks[1].replace("&#x27;", "'").replace("&quot;", '"')
    place: dict = {}
    exec(code, place)
    assert place["ensemble"].sizes["member"] == 24
    assert repr(str(archive.root)) in blocks[0].replace("&#x27;", "'")


def test_a_report_is_written_again_and_without_a_title(made):
    evaluation, archive, _, path = made
    assert report(evaluation, archive) == path
    assert f"<h1>{default_title(evaluation)}</h1>" in path.read_text()
    assert archive.verify(evaluation) == []


def test_several_variables_have_their_own_pictures(lineage, gray_scott):
    evaluation, archive = lineage(equation=gray_scott)
    evaluate(evaluation, archive)
    text = report(evaluation, archive).read_text()
    read(text)
    assert text.count("<h3>u</h3>") == text.count("<h3>v</h3>") == 2
    scores = evaluate(evaluation, archive).value.sel(ensemble="trained", variable="joint")
    assert text.count("<small>joint</small>") == int(scores.notnull().sum()) >= 5
    assert not re.search(r"\b(nan|inf)\b", re.sub(r"base64,[^\"]+", "", text).lower())


def test_a_report_without_scores_is_refused(lineage):
    evaluation, archive = lineage()
    with pytest.raises(LookupError, match=r"run evaluate\(study.evaluation, archive\) first"):
        report(evaluation, archive)


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


def test_fields_are_drawn_with_y_upwards_on_one_scale():
    u = torch.zeros(1, 8, 8)
    u[0, 0, :] = 1  # the smallest y
    url = figures.images(u, Grid((8, 8)), 0.0, 1.0, diverging=False)[0]
    image = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    assert image.size == (128, 128)
    levels = np.asarray(image)
    assert levels[-1].mean() > 200
    assert levels[40].mean() < 60


@pytest.mark.parametrize("shape", [(16,), (8, 8, 8)])
def test_fields_on_one_and_three_axes_have_pictures(shape):
    assert figures.images(torch.randn(2, *shape), Grid(shape), -1, 1, True)[1].startswith("data:")


def test_drawings_take_the_colours_of_the_page():
    drawing = figures.history([1.0, 2.0], [0.5, 0.4], {2.0: 0.45})
    assert "var(--trained)" in drawing
    assert "#05" not in drawing
    colours = set(re.findall(r"var\(--([a-z]+)\)", drawing))
    assert colours <= set(re.findall(r"--([a-z]+):", page.STYLE))
    assert figures.history([1.0, 2.0], [0.5, 0.4], {2.0: 0.45}) == drawing
