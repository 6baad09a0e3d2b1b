"""Archives of earlier versions open as they did then; those of later ones are refused.

The archives in tests/data/archives were made by the code of their time (make.py, run by a commit
of then); beside each lie the numbers that it held, as that code read them.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from pushforward.archive import Archive
from pushforward.evaluation import SCORES_FILE, restore
from pushforward.formats import FORMAT
from pushforward.garbage import garbage
from pushforward.generation import generate
from pushforward.growth import adopt
from pushforward.repair import repair
from pushforward.report import report
from pushforward.simulation import simulate, template
from pushforward.spec import Evaluation, Simulation
from pushforward.study import Study

STORED = Path(__file__).resolve().parents[1] / "data" / "archives"
ROUND_OFF: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}  # of another processor, or another kernel
CODECS = {"1-zstandard": "zstd", "1-blosc": "blosc", "2": "blosc"}
NUMBERS = {"1-zstandard": None, "1-blosc": None, "2": 2}


@pytest.fixture(params=CODECS)
def version(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def known(version: str) -> dict[str, Any]:
    """What the archive holds, as its own version read it."""
    return json.loads((STORED / f"{version}.json").read_text())


@pytest.fixture
def stored(version: str, tmp_path: Path) -> Archive:
    with tarfile.open(STORED / f"{version}.tar.xz") as file:
        file.extractall(tmp_path, filter="data")
    return Archive(tmp_path / "runs")


def evaluation(archive: Archive, known: dict[str, Any]) -> Evaluation:
    found = archive.stored(known["evaluation"])
    assert isinstance(found, Evaluation)
    return found


def codecs(archive: Archive, name: str) -> list[str]:
    """What the chunks of a result's fields go through, by name."""
    group = zarr.open_group(archive.folder(name) / "data.zarr", mode="r")
    shards = [array for _, array in group.arrays() if array.shards is not None]
    written: Any = shards[0].metadata.to_dict()["codecs"]
    (sharding,) = written
    return [codec["name"] for codec in sharding["configuration"]["codecs"]]


def first_shard(archive: Archive, name: str) -> Path:
    folder = archive.folder(name) / "data.zarr" / "vorticity" / "c"
    return next(path for path in sorted(folder.rglob("*")) if path.is_file())


def test_there_is_an_archive_of_every_format() -> None:
    assert {path.name.removesuffix(".tar.xz") for path in STORED.glob("*.tar.xz")} == {*CODECS}
    assert {number or 1 for number in NUMBERS.values()} == {*range(1, FORMAT + 1)}


def test_it_is_of_its_time(stored: Archive, known: dict[str, Any], version: str) -> None:
    """Else the tests below would be of today's archives."""
    for name in known["fields"]:
        values = json.loads((stored.folder(name) / "spec.json").read_text())
        assert values.get("format") == NUMBERS[version]
        assert codecs(stored, name)[-2:] == [CODECS[version], "crc32c"]


def test_names_are_those_of_today(stored: Archive, known: dict[str, Any]) -> None:
    study = Study.load(STORED / "study.yaml")
    assert study.evaluation.name == known["evaluation"]
    for spec in study.specs:
        assert stored.stored(spec.name).name == spec.name
        assert stored.sealed(spec)


def test_it_is_intact_and_has_its_numbers(stored: Archive, known: dict[str, Any]) -> None:
    for entry in stored.search():
        assert entry.sealed
        assert stored.verify(entry.name) == []
    assert len(known["fields"]) == 3
    for name, fields in known["fields"].items():
        dataset = stored.open(name)
        assert {*map(str, dataset)} == {*fields}
        for field, values in fields.items():
            # the critical grid's are transformed when they are read
            np.testing.assert_allclose(dataset[field].values[0], values, rtol=1e-6, atol=1e-7)


def test_other_numbers_would_be_seen(stored: Archive, known: dict[str, Any]) -> None:
    """Negative control."""
    name = next(iter(known["fields"]))
    field, values = next(iter(known["fields"][name].items()))
    assert not np.allclose(stored.open(name)[field].values[1], values, rtol=1e-6, atol=1e-7)


def test_its_weights_draw_what_they_drew(stored: Archive, known: dict[str, Any]) -> None:
    generation = evaluation(stored, known).generation
    drawn = stored.surrogate(generation.training).sample(
        [0], seed=generation.seed, sampler=generation.sampler, batch=generation.batch
    )
    (values,) = known["fields"][generation.name].values()
    np.testing.assert_allclose(drawn[0].numpy(), values, **ROUND_OFF)
    other = stored.surrogate(generation.training).sample([1], seed=generation.seed)
    assert not np.allclose(other[0].numpy(), values, **ROUND_OFF)


def test_its_scores_are_read(stored: Archive, known: dict[str, Any]) -> None:
    spec = evaluation(stored, known)
    scores = restore(stored.read_json(spec, SCORES_FILE))
    values = scores.value.isel(ensemble=0, variable=0).to_series().dropna().to_dict()
    assert values == pytest.approx(known["scores"])
    assert len(values) > 5
    assert report(spec, stored).is_file()


def test_it_goes_on(stored: Archive, known: dict[str, Any]) -> None:
    """What is complete stays, a larger one takes its blocks, a damaged one is mended."""
    spec = evaluation(stored, known)
    simulation: Simulation = spec.generation.training.simulation
    assert generate(spec.generation, stored) == spec.generation.name
    larger = simulation.model_copy(update={"members": 22})
    stored.create(larger, template(larger))
    taken = adopt(larger, stored)
    simulate(larger, stored)
    assert stored.verify(larger) == []
    same = codecs(stored, larger.name) == codecs(stored, simulation.name)
    assert taken == (1 if same else 0)  # of two blocks the whole one, where it is encoded alike
    fields = [stored.open(spec).vorticity.values[:14] for spec in (larger, simulation)]
    np.testing.assert_allclose(*fields, **ROUND_OFF)
    first_shard(stored, simulation.name).unlink()
    assert len(stored.verify(simulation)) == 1
    repair(simulation.name, stored)
    assert stored.verify(simulation) == []
    unnamed = {*known["fields"]} - {one.name for one in (simulation, spec.generation)}
    assert {one.path.name for one in garbage(stored, [spec], age=-1.0)} == unnamed


LATER: list[Callable[[Archive, str], object]] = [
    lambda archive, name: archive.open(name),
    lambda archive, name: archive.stored(name),
    lambda archive, name: archive.verify(name),
    lambda archive, name: repair(name, archive),
    lambda archive, name: archive.manifest(name),
    lambda archive, name: simulate(Study.load(STORED / "study.yaml").simulation, archive),
]


@pytest.mark.parametrize("action", LATER)
@pytest.mark.parametrize("number", [FORMAT + 1, "2.1", 0, True])
def test_a_later_format_is_refused(
    action: Callable[[Archive, str], object], number: object, tmp_path: Path
) -> None:
    with tarfile.open(STORED / f"{FORMAT}.tar.xz") as file:
        file.extractall(tmp_path, filter="data")
    archive = Archive(tmp_path / "runs")
    name = Study.load(STORED / "study.yaml").simulation.name
    action(archive, name)  # as it is
    path = archive.folder(name) / "spec.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": number}))
    before = {p: p.read_bytes() for p in archive.folder(name).rglob("*") if p.is_file()}
    with pytest.raises(
        ValueError, match=rf"expected an archive's format <= {FORMAT}, got .*update"
    ):
        action(archive, name)
    assert {p: p.read_bytes() for p in archive.folder(name).rglob("*") if p.is_file()} == before
    assert name not in {entry.name for entry in archive.search()}
    assert len(archive.search()) == 4
