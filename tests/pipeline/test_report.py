"""The report: whole, self-contained, and it says what the numbers say."""

from __future__ import annotations

import base64
import io
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
import xarray as xr
import yaml
from PIL import Image

from pushforward import figures, page
from pushforward.controls import FILE, WRONG, refusals
from pushforward.evaluation import evaluate, plain, restore
from pushforward.report import default_title, report
from pushforward.score_families import grouped
from pushforward.solvers import Grid
from pushforward.spec import Evaluation
from pushforward.study import Study
from pushforward.summary import behind, farther, trainings, verdict

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


@pytest.fixture(scope="module")
def made(shared):
    evaluation, archive = shared
    scores = evaluate(evaluation, archive)
    path = report(evaluation, archive, title="Waves < in & a box", description="What it is.")
    return evaluation, archive, scores, path


@pytest.fixture
def copied(made, tmp_path):
    evaluation, archive, _, _ = made
    shutil.copytree(archive.root, tmp_path / "runs")
    return evaluation, type(archive)(tmp_path / "runs")


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
        "Curves",
        "Scores",
        "Controls",
        "Solver",
        "Training",
        "Use the ensemble",
        "Provenance",
    ]
    text = " ".join(" ".join(reader.text).split())
    study = Study(title="x", evaluation=evaluation)
    assert all(spec.name in text for spec in study.specs)
    assert verdict(scores) in text
    assert behind(1) in text
    assert farther(scores) in text
    for title in scores.title.values:
        assert str(title) in text
    for family, _ in grouped(map(str, scores.score.values)):
        assert family.title in text
        assert family.sees in text
    for name in WRONG:
        assert name in text.lower()
    assert f"pushforward run study.yaml --root {archive.root}" in text
    assert "held-out loss" in text
    assert "Calibration on held-out members" in text
    cells = re.findall(r'<td class="word">[^<]+ <.*?<small>.*?</td>', path.read_text())
    assert len(cells) == scores.value.size
    words = sum("outside</b>" in cell for cell in cells)
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


def test_a_report_is_written_again_and_without_a_title(copied):
    evaluation, archive = copied
    path = archive.folder(evaluation) / "report.html"
    assert report(evaluation, archive) == path
    assert f"<h1>{default_title(evaluation)}</h1>" in path.read_text()
    assert archive.verify(evaluation) == []


@pytest.mark.slow
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


def test_trainings_of_other_seeds_are_found_and_others_are_not(copied):
    evaluation, archive = copied
    assert trainings(evaluation, archive) == [evaluation.name]
    others = [with_training(evaluation, seed=seed) for seed in (1, 2)]
    for other in (*others, with_training(evaluation, steps=40)):
        shutil.copytree(archive.folder(evaluation), archive.folder(other))
        values = {"kind": "evaluation", "spec": other.model_dump(mode="json")}
        archive.write_json(other, "spec.json", values)
    found = trainings(evaluation, archive)
    assert found == [evaluation.name, *sorted(other.name for other in others)]
    assert behind(3, 0.5).split(";")[0] in report(evaluation, archive).read_text()


def with_training(evaluation: Evaluation, **values: int) -> Evaluation:
    generation = evaluation.generation
    training = generation.training.model_copy(update=values)
    other = generation.model_copy(update={"training": training})
    return Evaluation.model_validate({**dict(evaluation), "generation": other})


def test_the_controls_of_an_evaluation_are_refused_where_they_must_be(made):
    evaluation, archive, scores, _ = made
    found = restore(archive.read_json(evaluation, FILE))
    refused = {name: {s for _, s in cells} for name, cells in refusals(found).items()}
    assert {*refused} == {"another set", *WRONG}
    assert "memorisation" in refused["training copy"]
    assert {"log_spectral_distance", "worst_shell", "top_octave"} <= refused["2/3 low-pass"]
    assert {"frechet", "classifier_auc"} & refused["few members, repeated"]
    assert "top_octave" in refused["10% white noise"]
    assert "log_spectral_distance" not in refused["random phases"]
    assert len(refused["another set"]) <= 0.3 * found.sizes["score"]
    assert {*map(str, found.score.values)} == {*map(str, scores.score.values)}


def test_a_control_that_is_not_told_from_the_solver_is_told_of(copied):
    evaluation, archive = copied
    found = restore(archive.read_json(evaluation, FILE))
    found["p"], found["p_family"] = xr.ones_like(found.p), xr.ones_like(found.p)
    found["beyond_floor"] = xr.zeros_like(found.beyond_floor)
    found.attrs["splits"] = 100
    archive.write_json(evaluation, FILE, plain(found))
    text = report(evaluation, archive).read_text()
    copies = ", ".join(f"{name} (not told)" for name in WRONG)
    assert f"Not told from the solver on these data: {copies}." in text
    (archive.folder(evaluation) / FILE).unlink()
    assert "There are no controls" in report(evaluation, archive).read_text()


def test_every_curve_is_drawn_and_an_older_evaluation_has_fewer(made, copied):
    path, (evaluation, archive) = made[-1], copied
    labels = ("Energy spectrum", "Enstrophy spectrum", "Flux of energy", "Flux of enstrophy")
    labels += ("Structure functions", "Variance along modes", "Density at a point")
    for label in labels:
        assert f'aria-label="{label}' in path.read_text()
    curves = restore(archive.read_json(evaluation, "curves.json"))
    older = curves[[n for n in curves if str(n).startswith(("spectrum", "density", "gradient"))]]
    older = older.assign({n: curves[n] for n in ("value", "slope", "resolved", "energy")})
    archive.write_json(evaluation, "curves.json", plain(older))
    text = report(evaluation, archive).read_text()
    assert 'aria-label="Structure functions' not in text
    assert 'aria-label="Energy spectrum' in text


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
