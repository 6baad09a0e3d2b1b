"""A study as a tree, and ensembles that are opened by people who do not have this package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from pushforward import Archive, Study, simulate
from pushforward.evaluation import evaluate
from pushforward.solvers import Grid


def test_a_study_stands_side_by_side(lineage) -> None:
    """Also of two resolutions: no node takes another's coordinates."""
    evaluation, archive = lineage(grid=Grid((32, 32)))
    scores = evaluate(evaluation, archive)
    generation = evaluation.generation
    simulation = generation.training.simulation
    tree = archive.tree(evaluation)
    assert isinstance(tree, xr.DataTree)
    assert [*tree.children] == ["solver", "generated", "scores"]
    for node, expected in (
        ("solver", archive.open(simulation)),
        ("generated", archive.open(generation)),
        ("scores", scores),
    ):
        xr.testing.assert_equal(tree[node].to_dataset(), expected)
        assert tree[node].attrs["date_created"]
        assert "pushforward" in tree[node].attrs["history"]
    assert dict(tree["solver"].sizes)["x"] == 16
    assert dict(tree["generated"].sizes)["x"] == 32
    assert not tree.coords
    assert tree.attrs["generation"] == generation.name
    assert "missing" not in tree.attrs
    assert bool(tree["scores"].value.sel(ensemble="trained", score="w1").notnull().all())
    by_name = archive.tree(evaluation.name)
    assert by_name.equals(tree)


def test_its_arrays_are_lazy(lineage) -> None:
    evaluation, archive = lineage()
    tree = archive.tree(evaluation, chunks={})
    assert tree["solver"].vorticity.chunks
    assert tree["solver"].to_dataset().pushforward.enstrophy().chunks
    unread = archive.tree(evaluation)["solver"].vorticity
    assert not isinstance(unread.variable._data, np.ndarray)


def test_what_is_not_complete_is_missing(archive: Archive) -> None:
    study = Study.load("smoke", ["simulation.times=[0.05]"])
    with pytest.raises(LookupError, match=r"run simulate\(study\.simulation, archive\) first"):
        archive.tree(study)
    simulate(study.simulation, archive)
    tree = archive.tree(study)
    assert [*tree.children] == ["solver"]
    assert tree.attrs["title"] == "Smoke"
    missing = [study.training, study.generation, study.evaluation]
    assert tree.attrs["missing"] == ", ".join(one.name for one in missing)
    alone = archive.tree(study.simulation)
    assert "missing" not in alone.attrs
    assert alone["solver"].equals(tree["solver"])  # type: ignore


STRANGER = """
import importlib.abc, sys, warnings

class NotHere(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "pushforward":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NotHere())
try:
    import pushforward
except ModuleNotFoundError:
    pass
else:
    raise SystemExit("pushforward is here")

import json
import numpy as np
import xarray as xr

with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    ds = xr.open_zarr(sys.argv[1], **json.loads(sys.argv[3]))
    ds.load()
np.savez(sys.argv[2], **{name: ds[name].values for name in (*ds.data_vars, *ds.coords)})
print(json.dumps({
    "attrs": {k: v for k, v in ds.attrs.items()},
    "of": {str(k): dict(v.attrs) for k, v in ds.variables.items()},
    "dims": {str(k): list(v.dims) for k, v in ds.variables.items()},
    "loaded": [m for m in sys.modules if m.split(".")[0] == "pushforward"],
    "told": [str(one.message) for one in told if "pushforward" not in str(one.message)],
}))
"""


def strange(path: Path, folder: Path, **options: object) -> tuple[dict, dict]:
    """What an interpreter that cannot import the package reads of a group of arrays."""
    script = folder / "stranger.py"
    script.write_text(STRANGER)
    arguments = [str(path), str(folder / "read.npz"), json.dumps(options)]
    done = subprocess.run(
        [sys.executable, "-I", str(script), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    with np.load(folder / "read.npz") as values:
        return json.loads(done.stdout), {key: values[key] for key in values.files}


@pytest.mark.parametrize(
    "options", [{}, {"consolidated": False}], ids=["plainly", "as catalogues"]
)
def test_plain_xarray_opens_what_is_stored(lineage, tmp_path: Path, options: dict) -> None:
    evaluation, archive = lineage()
    for spec in (evaluation.generation.training.simulation, evaluation.generation):
        said, values = strange(archive.folder(spec) / "data.zarr", tmp_path, **options)
        ours = archive.open(spec)
        assert said["loaded"] == []
        assert said["told"] == []
        assert {*values} == {*map(str, ours.variables)}
        for name, variable in ours.variables.items():
            np.testing.assert_array_equal(values[str(name)], variable.values)
            assert said["dims"][name] == [*variable.dims]
            assert said["of"][name]["units"]
            assert said["of"][name]["long_name"]
        assert {said["of"][axis]["axis"] for axis in ("time", "y", "x")} == {"T", "Y", "X"}
        assert said["of"]["member"]["standard_name"] == "realization"
        about = said["attrs"]
        assert about["Conventions"] == "CF-1.11, ACDD-1.3"
        assert about["id"] == spec.name
        assert "navier_stokes" in about["keywords"]
        assert "viscosity 0.01" in about["equation"]
        for name in ("title", "summary", "source"):
            assert about[name], name


def test_the_critical_grid_says_what_it_is(tmp_path: Path) -> None:
    """A stranger gets fewer points of the same functions, and the words that say so."""
    study = Study.load(
        "smoke",
        ["simulation.storage=critical", "simulation.forcing=null", "simulation.times=[0.05]"],
    )
    archive = Archive(tmp_path / "runs")
    simulate(study.simulation, archive)
    said, values = strange(archive.folder(study.simulation) / "data.zarr", tmp_path)
    assert said["attrs"]["storage"].startswith("critical: fields of 16x16 points on the 12x12")
    assert said["attrs"]["full_shape"] == [16, 16]
    assert values["vorticity"].shape == (112, 1, 12, 12)
    full = archive.open(study.simulation).vorticity
    fields = torch.from_numpy(values["vorticity"]).double()
    refined = Grid((12, 12)).resample(fields, Grid((16, 16)))
    np.testing.assert_allclose(refined, full, rtol=0, atol=1e-6)
    np.testing.assert_allclose(values["x"], Grid((12, 12)).coordinates()[1])
