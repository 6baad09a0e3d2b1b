"""An archive as a table, as an Intake catalogue, and asked by its scores."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from pushforward.archive import Archive
from pushforward.evaluation import evaluate
from pushforward.export import export, intake
from pushforward.outcome import outcome
from pushforward.spec import Evaluation

URL = "urlpath"


@pytest.fixture(scope="module")
def scored(shared) -> tuple[Evaluation, Archive, xr.Dataset]:
    evaluation, archive = shared
    return evaluation, archive, evaluate(evaluation, archive)


@pytest.fixture
def copied(scored, tmp_path: Path) -> tuple[Evaluation, Archive]:
    evaluation, archive, _ = scored
    shutil.copytree(archive.root, tmp_path / "runs")
    return evaluation, type(archive)(tmp_path / "runs")


def test_the_table_has_a_row_for_every_result(scored) -> None:
    evaluation, archive, _ = scored
    table = archive.table()
    assert isinstance(table, pd.DataFrame)
    generation = evaluation.generation
    simulation = generation.training.simulation
    assert {*table.index} == {
        spec.name for spec in (evaluation, generation, generation.training, simulation)
    }
    assert table.complete.all()
    assert {*table.equation} == {"navier_stokes"}
    assert {*table.grid} == {"16x16"}
    assert {*table.viscosity} == {1e-2}
    assert table.members[simulation.name] == simulation.members
    assert table.members[evaluation.name] == evaluation.members
    assert table.seed[generation.name] == generation.seed
    assert table.surrogate[generation.name] == generation.training.surrogate.preset
    assert pd.isna(table.surrogate[simulation.name])
    for name in table.index:
        assert table.simulation[name] == simulation.name
    assert table.training[evaluation.name] == generation.training.name
    assert table.generation[evaluation.name] == generation.name
    assert pd.isna(table.generation[generation.training.name])
    files = [path for path in archive.folder(simulation).rglob("*") if path.is_file()]
    assert table.bytes[simulation.name] == sum(path.stat().st_size for path in files)
    assert table.made[simulation.name] == archive.manifest(simulation)["provenance"]["time"]


def test_the_table_has_the_scores(scored) -> None:
    evaluation, archive, scores = scored
    row = archive.table(kind="evaluation").loc[evaluation.name]
    trained = scores.sel(ensemble="trained")
    there = trained.value.notnull()
    assert row.scores == int(there.sum())
    assert row.outside == int((there & ~trained.inside.astype(bool)).sum())
    ratios = trained.ratio.max("variable").to_series().dropna()
    assert len(ratios) > 5
    for name, ratio in ratios.items():
        assert row[name] == pytest.approx(ratio)


def test_it_is_a_dataset_too(scored) -> None:
    evaluation, archive, _ = scored
    dataset = archive.table().to_xarray()
    assert dataset.w1.sel(name=evaluation.name) == archive.table().w1[evaluation.name]
    assert np.isnan(dataset.w1.sel(name=evaluation.generation.name))


def test_results_are_found_by_their_scores(scored) -> None:
    evaluation, archive, _ = scored
    w1 = archive.table().w1[evaluation.name]
    assert [one.name for one in archive.search(w1=(0, w1))] == [evaluation.name]
    assert archive.search(w1=(0, 0.9 * w1)) == []
    assert [*archive.table(w1=(w1, 1e9), equation="navier_stokes").index] == [evaluation.name]
    assert archive.search(w1=(0, w1), equation="gray_scott") == []
    assert [one.name for one in archive.search(outside=(0, 1000))] == [evaluation.name]
    assert archive.search(no_such_score=(0, 1000)) == []


def test_the_lineage_is_stored(scored) -> None:
    evaluation, archive, _ = scored
    generation = evaluation.generation
    names = [generation.name, generation.training.name, generation.training.simulation.name]
    (entry,) = archive.search(name=evaluation.name)
    assert [*entry.above] == names
    assert json.loads((archive.folder(evaluation) / "spec.json").read_text())["from"] == names
    (first,) = archive.search(kind="simulation")
    assert first.above == ()


def test_an_earlier_archive_has_a_lineage_too(copied) -> None:
    """Which it does not say: it is worked out from the spec."""
    evaluation, archive = copied
    path = archive.folder(evaluation) / "spec.json"
    values = json.loads(path.read_text())
    names = values.pop("from")
    path.write_text(json.dumps({k: v for k, v in values.items() if k != "format"}))
    (entry,) = archive.search(name=evaluation.name)
    assert [*entry.above] == names


def test_what_is_damaged_or_not_there_is_empty(copied) -> None:
    evaluation, archive = copied
    folder = archive.folder(evaluation)
    assert outcome(folder)
    for text in ("{}", "no JSON", '{"coords": {"score": {"data": ["w1"]}}}'):
        (folder / "scores.json").write_text(text)
        assert outcome(folder) == {}
    (archive.folder(evaluation.generation) / "manifest.json").unlink()
    table = archive.table()
    assert not table.complete[evaluation.generation.name]
    assert pd.isna(table.made[evaluation.generation.name])
    assert Archive(folder).table().empty


def test_a_catalogue_opens_with_xarray_alone(scored, tmp_path: Path) -> None:
    evaluation, archive, _ = scored
    path = tmp_path / "deep" / "intake.yaml"
    assert export(archive, path) == 2
    sources = yaml.safe_load(path.read_text())["sources"]
    generation = evaluation.generation
    assert {*sources} == {generation.name, generation.training.simulation.name}
    for name, source in sources.items():
        assert source["driver"] == "zarr"
        arguments = dict(source["args"])
        dataset = xr.open_zarr(arguments.pop(URL), **arguments)
        xr.testing.assert_equal(dataset.load(), archive.open(name).load())
        assert dataset.id == name
    about = sources[generation.name]["metadata"]
    assert about["viscosity"] == 1e-2
    assert about["training"] == generation.training.name
    assert about["members"] == generation.members


def test_a_catalogue_has_what_is_asked_for_and_complete(copied, tmp_path: Path) -> None:
    evaluation, archive = copied
    assert {*intake(archive, kind="generation")["sources"]} == {evaluation.generation.name}
    (archive.folder(evaluation.generation) / "manifest.json").unlink()
    assert intake(archive, kind="generation")["sources"] == {}
