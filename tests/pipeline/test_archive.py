"""The archive: blocks, seals and files that survive kills, flipped bits and full disks."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
import zarr

from pushforward import certificate, disk, layout
from pushforward.archive import Archive
from pushforward.simulation import template
from pushforward.solvers import GaussianField, GrayScott, Grid, NavierStokes
from pushforward.spec import Simulation, Training

MEMBERS, BLOCK = 10, 4


def spec(**changes: Any) -> Simulation:
    values: dict[str, Any] = {
        "equation": NavierStokes(viscosity=1e-2),
        "grid": Grid((8, 8)),
        "forcing": GaussianField.matern(4.0, 0.3),
        "times": (0.0, 1.0),
        "step": 0.1,
        "members": MEMBERS,
        "batch": 2,
        "block": BLOCK,
    }
    return Simulation(**values | changes)


def training(simulation: Simulation) -> Training:
    return Training(simulation=simulation, members=4, held_out=2, steps=0)


def data(simulation: Simulation, members: range) -> xr.Dataset:
    """Values that differ from member to member, as a solver would hand them over."""
    dataset = template(simulation, members)
    for name, variable in dataset.data_vars.items():
        count = int(np.prod(variable.shape[1:]))
        values = np.stack([np.sin(np.arange(count) + 100 * member) for member in members])
        dataset[name] = variable.copy(data=values.reshape(variable.shape).astype(variable.dtype))
    return dataset


def opened(simulation: Simulation) -> xr.Dataset:
    """The same as an archive opens it, when nobody checked it."""
    return data(simulation, range(MEMBERS)).assign_attrs(certificate=certificate.NONE)


def fill(archive: Archive, simulation: Simulation) -> None:
    archive.create(simulation, template(simulation))
    for block in archive.missing(simulation):
        archive.write(simulation, block, data(simulation, archive.span(simulation, block)))


def bits(folder: Path) -> dict[str, bytes]:
    """Every file of a group, as it lies on the disk."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in (folder / "data.zarr").rglob("*")
        if path.is_file()
    }


def test_what_is_written_is_read(archive: Archive):
    simulation = spec()
    archive.create(simulation, template(simulation))
    assert archive.missing(simulation) == [0, 1, 2]
    for block in (2, 0):
        archive.write(simulation, block, data(simulation, archive.span(simulation, block)))
    assert archive.missing(simulation) == [1]
    fill(archive, simulation)
    archive.seal(simulation)
    xr.testing.assert_identical(archive.open(simulation).load(), opened(simulation))
    lazy = archive.open(simulation.name, chunks={})
    assert lazy.vorticity.chunks[0] == (4, 4, 2)
    assert archive.verify(simulation) == []


@pytest.mark.parametrize("grid", [Grid((8,)), Grid((8, 4)), Grid((4, 6, 8))])
def test_one_to_three_axes(archive: Archive, grid: Grid):
    simulation = spec(grid=grid, equation=GrayScott(), forcing=None)
    fill(archive, simulation)
    archive.seal(simulation)
    dataset = archive.open(simulation)
    assert dataset.v.dims == ("member", "time", *("z", "y", "x")[-grid.ndim :])
    assert dataset.v.shape == (MEMBERS, 2, *grid.shape)
    for name, points in zip(dataset.v.dims[2:], grid.coordinates(), strict=True):
        np.testing.assert_array_equal(dataset[name], points.numpy())


def test_arrays_are_sharded_by_block_and_checked(archive: Archive):
    simulation = spec(grid=Grid((64, 64)), times=(0.0, 1.0, 2.0), block=64)
    archive.create(simulation, template(simulation))
    array = zarr.open_array(archive.folder(simulation) / "data.zarr" / "vorticity")
    assert array.shards == (64, 3, 64, 64)
    assert array.chunks == (4, 1, 64, 64)
    assert np.isnan(array.fill_value)
    assert [type(codec).__name__ for codec in array.compressors] == ["BloscCodec", "Crc32cCodec"]


@pytest.mark.parametrize(
    "shape", [(7, 3, 8, 8), (500, 1, 64), (50, 4, 32, 32), (9, 2, 96, 96, 96)]
)
def test_chunks_divide_the_shard_and_are_neither_small_nor_large(shape: tuple[int, ...]):
    block, itemsize = 6, 4
    shard = (block, *shape[1:])
    inner = layout.chunks(shape, block, itemsize)
    assert all(whole % part == 0 for whole, part in zip(shard, inner, strict=True))
    size, largest = np.prod(inner) * itemsize, np.prod(shard) * itemsize
    assert min(layout.SMALL, largest) <= size <= layout.LARGE
    # a prime number of times cannot be cut: then smaller is better than much larger
    assert layout.chunks((50, 101, 32, 32), block, itemsize) == (6, 1, 32, 32)


def test_what_is_no_whole_block_is_refused(archive: Archive):
    simulation = spec()
    archive.create(simulation, template(simulation))
    good = data(simulation, range(4))
    refused: list[tuple[xr.Dataset, str]] = [
        (data(simulation, range(2)), r"expected members 0\.\.3, .* got 0\.\.1"),
        (data(simulation, range(2, 6)), r"got 2\.\.5"),
        (good.drop_vars("member"), "got none"),
        (good.drop_vars("forcing"), "expected the variables forcing, vorticity, got vorticity"),
        (good.astype("float64"), "expected .* float32 of shape .* convert it"),
        (good.isel(time=[0]), r"of shape \(4, 2, 8, 8\), got .* \(4, 1, 8, 8\)"),
    ]
    for dataset, message in refused:
        with pytest.raises(ValueError, match=message):
            archive.write(simulation, 0, dataset)
    with pytest.raises(ValueError, match="expected a block of"):
        archive.write(simulation, 3, good)
    bad = good.copy(deep=True)
    bad.vorticity[2, 1, 3, 3] = np.inf
    with pytest.raises(FloatingPointError, match="got member 2 of vorticity"):
        archive.write(simulation, 0, bad)
    assert archive.missing(simulation) == [0, 1, 2]
    archive.write(simulation, 0, good)
    assert archive.missing(simulation) == [1, 2]


def test_absent_and_incomplete_results_say_what_to_run(archive: Archive):
    simulation = spec()
    with pytest.raises(LookupError) as caught:
        archive.open(training(simulation))
    assert str(caught.value) == (
        f"{training(simulation).name} is not in {archive.root}; "
        "run train(study.training, archive) first"
    )
    archive.create(simulation, template(simulation))
    archive.write(simulation, 1, data(simulation, range(4, 8)))
    for action in (archive.open, archive.seal, archive.manifest, archive.require):
        with pytest.raises(LookupError, match=r"is incomplete \(1 of 3 blocks\); run simulate"):
            action(simulation)
    for name in ("simulation-0123456789", "weather", "../simulation-0"):
        with pytest.raises(LookupError, match=r"not in|name like"):
            archive.open(name)


def test_the_layout_on_disk_wins(archive: Archive):
    simulation = spec()
    archive.create(simulation, template(simulation))
    archive.write(simulation, 0, data(simulation, range(4)))
    wider = spec(block=8)
    assert wider.name == simulation.name
    archive.create(wider, template(wider))
    assert list(archive.blocks(wider)) == [0, 1, 2]
    assert archive.span(wider, 1) == range(4, 8)
    fill(archive, wider)
    archive.seal(wider)
    xr.testing.assert_identical(archive.open(wider).load(), opened(simulation))


def flip(path: Path, place: float = 0.3) -> None:
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= 0x10
    path.write_bytes(content)


def shard(archive: Archive, simulation: Simulation, block: int) -> Path:
    return archive.folder(simulation) / "data.zarr" / "vorticity" / "c" / str(block) / "0/0/0"


def test_a_flipped_bit_is_found_and_never_read(archive: Archive):
    simulation = spec()
    fill(archive, simulation)
    archive.seal(simulation)
    flip(shard(archive, simulation, 1))
    assert archive.verify(simulation) == ["block 1"]
    with pytest.raises(Exception, match=r"(?i)checksum"):
        archive.open(simulation).vorticity.isel(member=slice(4, 8)).load()
    archive.open(simulation).vorticity.isel(member=slice(0, 4)).load()
    flip(archive.folder(simulation) / "data.zarr" / "time" / "zarr.json")
    assert archive.verify(simulation) == ["block 1", "data.zarr/time/zarr.json"]


@pytest.mark.parametrize("block", [1, 2])  # the last one does not fill its shard
@pytest.mark.parametrize("damage", ["bit", "torn", "empty", "other values", "lost", "marker"])
def test_a_seal_is_refused_when_the_disk_lies_and_healed_by_running_again(
    archive: Archive, damage: str, block: int
):
    simulation = spec()
    fill(archive, simulation)
    path = shard(archive, simulation, block)
    marker = archive.folder(simulation) / f"blocks/00000{block}.json"
    if damage == "bit":
        flip(path)
    elif damage in ("torn", "empty"):
        path.write_bytes(path.read_bytes()[: 100 * (damage == "torn")])
    elif damage == "other values":
        shutil.copy(shard(archive, simulation, 0), path)
    elif damage == "lost":
        path.unlink()
    else:
        marker.write_text("{")
    with pytest.raises(OSError, match=f"in block {block}; check the disk and run the same"):
        archive.seal(simulation)
    assert archive.missing(simulation) == [block]
    fill(archive, simulation)
    archive.seal(simulation)
    xr.testing.assert_identical(archive.open(simulation).load(), opened(simulation))


def _nothing(folder: Path, simulation: Simulation) -> None:
    folder.mkdir(parents=True)


def _torn_spec(folder: Path, simulation: Simulation) -> None:
    folder.mkdir(parents=True)
    (folder / "spec.json.0123.partial").write_text('{"kind": "simul')


def _torn_template(folder: Path, simulation: Simulation) -> None:
    Archive(folder.parent).create(simulation)
    (folder / "data.zarr.0123.partial" / "vorticity").mkdir(parents=True)


def _torn_shard(folder: Path, simulation: Simulation) -> None:
    archive = Archive(folder.parent)
    archive.create(simulation, template(simulation))
    archive.write(simulation, 2, data(simulation, archive.span(simulation, 2)))
    place = folder / "data.zarr" / "vorticity" / "c" / "0" / "0" / "0"
    place.mkdir(parents=True)
    (place / "0.0123.partial").write_bytes(b"half")


def _torn_shard_without_marker(folder: Path, simulation: Simulation) -> None:
    _shard_without_marker(folder, simulation)
    shard(Archive(folder.parent), simulation, 1).write_bytes(b"torn by a power cut")


def _shard_without_marker(folder: Path, simulation: Simulation) -> None:
    archive = Archive(folder.parent)
    fill(archive, simulation)
    (folder / "blocks" / "000001.json").unlink()
    (folder / "blocks" / "000001.json.0123.partial").write_text("{")


@pytest.mark.parametrize(
    "crash",
    [
        _nothing,
        _torn_spec,
        _torn_template,
        _torn_shard,
        _shard_without_marker,
        _torn_shard_without_marker,
    ],
)
def test_a_kill_at_any_instant_is_healed(
    archive: Archive, tmp_path: Path, crash: Callable[[Path, Simulation], None]
):
    simulation, whole = spec(), Archive(tmp_path / "whole")
    fill(whole, simulation)
    whole.seal(simulation)
    crash(archive.folder(simulation), simulation)
    assert not archive.sealed(simulation)
    fill(archive, simulation)
    archive.seal(simulation)
    assert bits(archive.folder(simulation)) == bits(whole.folder(simulation))
    assert not list(archive.root.rglob("*.partial"))


def test_a_living_writer_is_spared_by_the_sweep(archive: Archive):
    simulation = spec()
    archive.create(simulation)
    fresh, old = (archive.folder(simulation) / f"{age}.partial" for age in ("fresh", "old"))
    for path in (fresh, old):
        path.touch()
    os.utime(old, (0, 0))
    archive.create(simulation)
    assert fresh.exists()
    assert not old.exists()


def test_a_writer_that_comes_after_the_seal_changes_nothing(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
):
    simulation = spec()
    fill(archive, simulation)
    archive.seal(simulation)
    before = bits(archive.folder(simulation))
    archive.write(simulation, 1, -data(simulation, range(4, 8)))
    assert bits(archive.folder(simulation)) == before
    assert archive.verify(simulation) == []
    marker = archive.folder(simulation) / "blocks" / "000001.json"
    content = marker.read_text()
    marker.unlink()

    def swept(*_: Any) -> None:
        raise FileNotFoundError(errno.ENOENT, "swept")

    def overtaken(*_: Any) -> None:
        marker.write_text(content)  # another process does the block, seals, and sweeps
        swept()

    monkeypatch.setattr(layout, "write", swept)
    with pytest.raises(FileNotFoundError):
        archive.write(simulation, 1, data(simulation, range(4, 8)))
    monkeypatch.setattr(layout, "write", overtaken)
    archive.write(simulation, 1, data(simulation, range(4, 8)))
    assert bits(archive.folder(simulation)) == before


def test_files_are_whole_or_absent(archive: Archive, monkeypatch: pytest.MonkeyPatch):
    simulation = spec()
    archive.write_json(simulation, "facts.json", {"b": [1.5, None], "a": "x"})

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r'facts.json, got "No space left') as caught:
            archive.write_json(simulation, "facts.json", {"a": "y"})
    assert "free some space and run the same command again" in str(caught.value)
    assert archive.read_json(simulation, "facts.json") == {"b": [1.5, None], "a": "x"}
    assert [path.name for path in archive.folder(simulation).iterdir()] == ["facts.json"]
    with pytest.raises(LookupError, match=r"expected other.json in .*, got facts.json"):
        archive.read_json(simulation, "other.json")


def test_lines_survive_a_torn_one(archive: Archive):
    simulation = spec()
    assert archive.read_lines(simulation, "metrics.jsonl") == []
    archive.append_line(simulation, "metrics.jsonl", {"step": 1})
    with open(archive.folder(simulation) / "metrics.jsonl", "a") as file:
        file.write('{"step": 2, "lo')
    assert archive.read_lines(simulation, "metrics.jsonl") == [{"step": 1}]
    archive.append_line(simulation, "metrics.jsonl", {"step": 2})
    assert archive.read_lines(simulation, "metrics.jsonl") == [{"step": 1}, {"step": 2}]
    archive.write_lines(simulation, "metrics.jsonl", [{"step": 1}])
    assert archive.read_lines(simulation, "metrics.jsonl") == [{"step": 1}]
    for _ in range(2):
        archive.remove(simulation, "metrics.jsonl")
    assert archive.read_lines(simulation, "metrics.jsonl") == []


def test_tensors_return_with_their_metadata_and_without_code(archive: Archive):
    simulation = spec()
    base = torch.arange(6.0)
    tensors = {"a": base.view(2, 3).T, "shared": base[:2], "b": torch.tensor(3)}
    archive.write_tensors(
        simulation, "weights.safetensors", tensors, {"config": {"width": [1, 2]}}
    )
    loaded, metadata = archive.read_tensors(simulation, "weights.safetensors")
    assert metadata == {"config": {"width": [1, 2]}}
    assert loaded.keys() == tensors.keys()
    for key, tensor in tensors.items():
        torch.testing.assert_close(loaded[key], tensor, rtol=0, atol=0)
    assert b"pickle" not in (archive.folder(simulation) / "weights.safetensors").read_bytes()


def test_a_result_of_files_is_sealed_and_verified(archive: Archive):
    result = training(spec())
    archive.create(result)
    archive.write_text(result, "notes.txt", "hello")
    with pytest.raises(LookupError, match=r"is incomplete; run train"):
        archive.open(result)
    archive.seal(result)
    with pytest.raises(LookupError, match=r"got files only"):
        archive.open(result)
    manifest = archive.manifest(result)
    assert {"notes.txt", "spec.json"} <= manifest["files"].keys()
    assert manifest["provenance"]["libraries"]["torch"] == torch.__version__
    assert archive.verify(result) == []
    archive.write_text(result, "notes.txt", "hullo")
    assert archive.verify(result) == ["notes.txt"]


def test_search_asks_the_lineage(archive: Archive):
    simulation, other = spec(), spec(equation=GrayScott(), forcing=None)
    fill(archive, simulation)
    archive.seal(simulation)
    archive.create(other)
    archive.create(training(simulation))

    def names(**where: Any) -> set[str]:
        return {entry.name for entry in archive.search(**where)}

    three = {simulation.name, other.name, training(simulation).name}
    assert names() == three
    assert names(kind="simulation") == {simulation.name, other.name}
    assert names(equation="gray_scott") == {other.name}
    assert names(viscosity=(1e-3, 1e-1)) == {simulation.name, training(simulation).name}
    assert names(viscosity=(1e-3, 5e-3)) == set()
    assert names(**{"grid.shape": [8, 8], "kind": "training"}) == {training(simulation).name}
    assert names(viscocity=0.01) == set()
    sealed = [entry for entry in archive.search() if entry.sealed]
    assert [entry.name for entry in sealed] == [simulation.name]
    assert sealed[0].manifest is not None
    assert json.loads(json.dumps(sealed[0].spec)) == simulation.model_dump(mode="json")


def test_a_sentence_is_not_wrapped_twice(tmp_path: Path):
    with (
        pytest.raises(OSError, match=r"^expected to store inner") as caught,
        disk.storing(Path("outer")),
        disk.storing(Path("inner")),
    ):
        raise PermissionError(errno.EACCES, "Permission denied")
    assert isinstance(caught.value, PermissionError)
    assert "choose a folder that can be written" in str(caught.value)


def test_a_damaged_result_hides_no_other_and_says_what_to_do(
    archive: Archive, caplog: pytest.LogCaptureFixture
):
    good, bad = spec(), spec(seed=7)
    for simulation in (good, bad):
        fill(archive, simulation)
        archive.seal(simulation)
    path = archive.folder(bad) / "spec.json"
    path.write_bytes(path.read_bytes()[:100])
    with caplog.at_level("INFO", logger="pushforward"):
        assert [entry.name for entry in archive.search()] == [good.name]
    assert "got a damaged file" in caplog.text
    assert f"remove the folder {path.parent}" in caplog.text


def test_sealed_tensors_that_changed_are_refused(archive: Archive):
    result = training(spec())
    archive.create(result)
    archive.write_tensors(result, "weights.safetensors", {"w": torch.arange(4.0)}, {})
    archive.seal(result)
    archive.read_tensors(result, "weights.safetensors")
    flip(archive.folder(result) / "weights.safetensors")
    with pytest.raises(OSError, match="as it was sealed"):
        archive.read_tensors(result, "weights.safetensors")
