"""The engine of xarray: what opens as what, by which names, and what is refused."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from pushforward.archive import Archive
from pushforward.backend import PushforwardBackend, changed, located
from pushforward.generation import generate
from pushforward.generative import Sampler
from pushforward.solvers import Grid
from pushforward.spec import Generation
from pushforward.study import Study

Trained = tuple[Study, Archive]
ROOT = Path(__file__).resolve().parents[2]


def opened(where: Any, **options: Any) -> xr.Dataset:
    return xr.open_dataset(where, engine=PushforwardBackend, **options)


@pytest.fixture(scope="module")
def stored(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The study and an archive that has its generation, too."""
    study, there = trained
    archive = Archive(tmp_path_factory.mktemp("stored") / "runs")
    archive.root.mkdir()
    for spec in (study.simulation, study.training):
        (archive.root / spec.name).symlink_to(there.folder(spec))
    generate(study.generation, archive)
    return study, archive


def test_the_engine_is_registered_and_light() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    entry = project["entry-points"]["xarray.backends"]
    assert entry == {"pushforward": "pushforward.backend:PushforwardBackend"}
    code = "import pushforward.backend, sys; print({'torch', 'zarr', 'pydantic'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"  # xarray imports every engine for any file
    assert PushforwardBackend().description


def test_xarray_knows_its_options() -> None:
    """Those of `open_dataset`, none of which xarray takes for itself."""
    import inspect

    asked = {*inspect.signature(PushforwardBackend.open_dataset).parameters} - {"self"}
    assert asked == {*PushforwardBackend.open_dataset_parameters}
    own = {*inspect.signature(xr.open_dataset).parameters}
    assert asked & own == {"filename_or_obj", "drop_variables"}


def test_a_training_opens_as_any_ensemble(trained: Trained) -> None:
    study, archive = trained
    path = archive.folder(study.training)
    dataset = opened(
        path, members=10**6, grid=(128, 64), seed=3, sampler={"steps": 3}, batch=16, block=48
    )
    assert dict(dataset.sizes) == {"member": 10**6, "time": 1, "y": 128, "x": 64}
    spec = Generation(
        training=study.training,
        members=10**6,
        grid=Grid((128, 64)),
        seed=3,
        sampler=Sampler(steps=3),
        batch=16,
        block=48,
    )
    assert dataset.attrs["id"] == spec.name
    assert dataset.encoding["source"] == str(path)
    chunks = {"member": 48, "time": 1, "y": 128, "x": 64}
    assert dataset.vorticity.encoding["preferred_chunks"] == chunks
    chunked = opened(path, members=100, chunks={})
    assert chunked.vorticity.chunks[0] == (64, 36)
    assert opened(path, members=2, drop_variables="vorticity").sizes["member"] == 2
    assert not opened(path, members=2, drop_variables=["vorticity"]).data_vars


def test_a_generation_opens_as_it_is_stored_or_as_another(
    stored: Trained, draws: list[list[int]]
) -> None:
    study, archive = stored
    path = archive.folder(study.generation)
    expected = archive.open(study.generation).load()
    for dataset in (opened(path), opened(path, members=16), opened(path, keep=True)):
        xr.testing.assert_identical(dataset.load(), expected)
    assert draws == []
    more = opened(path, members=1000)
    assert more.attrs["network_evaluations"] == expected.attrs["network_evaluations"]
    drawn = more.vorticity.isel(member=9).values
    assert draws == [[9]]
    np.testing.assert_allclose(drawn, expected.vorticity[9], atol=1e-5)
    other = opened(path, seed=2).vorticity.isel(member=9)
    assert abs(other - expected.vorticity[9]).max() > 0.1  # the control


def test_a_simulation_opens_as_it_is_stored(trained: Trained) -> None:
    study, archive = trained
    dataset = opened(archive.folder(study.simulation))
    xr.testing.assert_identical(dataset.load(), archive.open(study.simulation).load())
    assert dataset.attrs["solver"]


def test_a_generation_that_is_not_complete_is_drawn(stored: Trained, draws: Any) -> None:
    study, archive = stored
    begun = Generation(**{**dict(study.generation), "seed": 77})
    archive.create(begun)
    opened(archive.folder(begun)).vorticity.isel(member=[2]).load()
    assert draws == [[2]]


NAMES = {
    "folder": lambda archive, name: (archive.root / name, None),
    "folder as text": lambda archive, name: (f"{archive.root / name}/", None),
    "name and root": lambda archive, name: (name, archive.root),
    "beginning and root": lambda archive, name: (name[:11], str(archive.root)),
    "name in runs": lambda _, name: (name, None),
    "beginning in runs": lambda _, name: ("training", None),
    "path from here": lambda _, name: (f"runs/{name}", None),
    "file URL": lambda archive, name: (f"file://{archive.root / name}", None),
}


@pytest.mark.parametrize("way", NAMES)
def test_results_are_found(
    trained: Trained, way: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    study, archive = trained
    monkeypatch.chdir(archive.root.parent if "runs" in way or "here" in way else tmp_path)
    where, root = NAMES[way](archive, study.training.name)
    dataset = opened(where, members=5, **({} if root is None else {"root": root}))
    assert Path(dataset.encoding["source"]).resolve() == archive.folder(study.training).resolve()
    monkeypatch.chdir("/")  # whoever computes may stand elsewhere
    assert np.isfinite(dataset.vorticity.isel(member=0)).all()


def test_a_url_is_a_place(trained: Trained) -> None:
    study, archive = trained
    from pushforward import files

    name, root = study.training.name, Archive("memory://virtual/runs").root
    for path in files.listing(archive.root / name):
        files.write_bytes(root / name / path, (archive.root / name / path).read_bytes())
    dataset = opened(f"memory://virtual/runs/{name}", members=9, keep=True)
    here = opened(archive.folder(study.training), members=9)
    drawn = dataset.vorticity.isel(member=4).values
    np.testing.assert_allclose(drawn, here.vorticity.isel(member=4), atol=1e-5)
    kept = [one for one in root.iterdir() if one.name.startswith("generation-")]
    assert [one.name for one in kept] == [dataset.attrs["id"]]
    assert PushforwardBackend().guess_can_open(f"memory://virtual/runs/{name}")


REFUSED = {
    "no members": ({}, ValueError, "expected members for training-"),
    "none": ({"members": 0}, ValueError, "members: expected"),
    "too many": ({"members": 2**32 + 1}, ValueError, "expected at most 2^32 members"),
    "odd grid": ({"members": 1, "grid": (15, 16)}, ValueError, "expected even grid sizes"),
    "another box": ({"members": 1, "grid": (16,)}, ValueError, "expected 1 positive side"),
    "a typo": ({"members": 1, "sampler": {"stepps": 3}}, ValueError, "did you mean steps"),
    "odd block": ({"members": 1, "block": 9, "batch": 2}, ValueError, "a multiple of batch"),
    "a device": ({"members": 1, "device": "tpu"}, ValueError, "expected a device auto, cpu"),
    "two roots": ({"members": 1, "root": "elsewhere"}, ValueError, "leave one of the two out"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_mistakes_are_one_sentence_when_it_is_opened(trained: Trained, what: str) -> None:
    study, archive = trained
    options, error, says = REFUSED[what]
    with pytest.raises(error) as caught:
        opened(archive.folder(study.training), **options)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_ensemble_is_refused(trained: Trained, archive: Archive) -> None:
    study, there = trained
    with pytest.raises(LookupError, match="is not in"):
        opened("training-0000000000", root=there.root, members=1)
    with pytest.raises(
        ValueError, match=r"expected a training or a generation .* as it is stored"
    ):
        opened(there.folder(study.simulation), members=3)
    archive.create(study.evaluation)
    with pytest.raises(ValueError, match=f"; open {study.generation.name}"):
        opened(archive.folder(study.evaluation))
    archive.create(study.training)
    with pytest.raises(LookupError, match="is incomplete; run train"):
        opened(archive.folder(study.training), members=3)


def test_blocks_and_batches_fit_each_other(trained: Trained) -> None:
    training = trained[0].training
    sizes = [{"block": 8}, {"block": 48}, {"batch": 48}, {"batch": 5, "block": 10}, {}]
    found = [changed(training, {"members": 1, **size}) for size in sizes]
    assert [(one.block, one.batch) for one in found] == [
        (8, 8),
        (48, 16),
        (96, 48),
        (10, 5),
        (64, 32),
    ]


def test_it_guesses_its_own_and_nothing_else(trained: Trained, tmp_path: Path) -> None:
    study, archive = trained
    backend = PushforwardBackend()
    for spec in (study.simulation, study.training):
        assert backend.guess_can_open(archive.folder(spec))
        assert backend.guess_can_open(f"{archive.folder(spec)}/")
    (tmp_path / "training-0123456789").mkdir()  # without a spec
    (tmp_path / "training-data").mkdir()
    (tmp_path / "training-data" / "spec.json").write_text("{}")
    for other in ("training-0123456789", "training-data", "x.nc", "training-aaaaaaaaaa"):
        assert not backend.guess_can_open(tmp_path / other)
    assert not backend.guess_can_open(archive.folder(study.simulation) / "data.zarr")
    assert not backend.guess_can_open(b"training-0123456789")
    assert not backend.guess_can_open("https://example.org/data.nc")


def test_a_root_given_wins_over_the_working_folder(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained[1].root)
    name = trained[0].training.name
    assert located(name)[0].root.absolute() == trained[1].root
    assert located(name, tmp_path)[0].root == tmp_path
    assert located(Path.cwd() / name, tmp_path)[0].root == tmp_path
