"""Shards read by hand are the shards that were written, whatever their layout; damage is told."""

import shutil
from dataclasses import replace
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import xarray as xr
import zarr
import zarr.codecs

from pushforward import layout
from pushforward.batches import load
from pushforward.codec import shard_file
from pushforward.shards import Fields, Shards
from pushforward.simulation import simulate
from pushforward.solvers import Grid
from pushforward.spec import Simulation
from pushforward.study import Study


def make(path: Path, shape: tuple[int, ...], times: int, block: int, dtype: str) -> xr.Dataset:
    """A group of 20 members, of which the last block is short."""
    data = layout.template(Grid(shape), range(20), [*range(times)], {"u": "u", "v": "v"}, dtype)
    layout.allocate(path, data, block)
    generator = np.random.default_rng(0)
    for name in ("u", "v"):
        data[name] = data[name].copy(
            data=generator.standard_normal(data[name].shape).astype(dtype)
        )
    for start in range(0, 20, block):
        members = range(start, min(start + block, 20))
        layout.write(path, members, data.isel(member=slice(members.start, members.stop)))
    return data


@pytest.mark.parametrize(
    ("shape", "times", "block"),
    [((128, 128), 2, 8), ((64, 64), 3, 8), ((16, 16), 5, 6), ((512,), 2, 4), ((256, 320), 1, 5)],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_read_is_what_was_written(
    tmp_path: Path, shape: tuple[int, ...], times: int, block: int, dtype: str
) -> None:
    data = make(tmp_path / "x.zarr", shape, times, block, dtype)
    shards = Shards(tmp_path / "x.zarr" / "v")
    assert "Blosc" in str(shards.codec)
    stored = zarr.open_array(tmp_path / "x.zarr" / "v", mode="r")
    assert np.array_equal(np.asarray(stored[:]), data.v.values)  # by Zarr itself
    for members in (range(20), range(3, 7), range(block - 1, block + 1), range(19, 20)):
        for time in (0, times - 1):
            truth = data.v.values[members.start : members.stop, time].astype(np.float32)
            assert np.array_equal(shards.read(members, time), truth)
            stacked = np.full((len(members), 2, *shape), np.nan, np.float32)
            shards.read(members, time, stacked[:, 1])  # memory with gaps
            assert np.array_equal(stacked[:, 1], truth)
            assert np.isnan(stacked[:, 0]).all()


def test_zstandard_of_earlier_archives_is_read_by_hand_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = (zarr.codecs.ZstdCodec(level=1), zarr.codecs.Crc32cCodec())
    monkeypatch.setattr(layout, "compressors", lambda _: old)
    data = make(tmp_path / "x.zarr", (64, 64), 2, 8, "float32")
    shards = Shards(tmp_path / "x.zarr" / "u")
    assert "Zstd" in str(shards.codec)
    assert np.array_equal(shards.read(range(3, 11), 1), data.u.values[3:11, 1])
    # a codec that is not the file's is no silent wrong number
    assert shards.codec is not None
    shards.codec = replace(shards.codec, compressor=numcodecs.Blosc())
    with pytest.raises(OSError, match="as it was written"):
        shards.read(range(3, 11), 1)


@pytest.mark.parametrize("block", [8, 20])
def test_what_zarr_writes_is_read(tmp_path: Path, block: int) -> None:
    data = make(tmp_path / "x.zarr", (64, 64), 2, block, "float32")
    stored = zarr.open_array(tmp_path / "x.zarr" / "u", mode="r+")
    shutil.rmtree(tmp_path / "x.zarr" / "u" / "c")
    other = -data.u.values
    stored[:] = other
    shards = Shards(tmp_path / "x.zarr" / "u")
    assert shards.codec is not None
    assert np.array_equal(shards.read(range(20), 1), other[:, 1])
    # and a chunk is, to the byte, what Zarr makes of it
    path = shard_file(tmp_path / "x.zarr" / "u", 0, 4)
    theirs, mine = path.read_bytes(), shards.codec.encode(other[:block])
    for one in (theirs, mine):
        assert len(one) == len(theirs)
    places = [shards.codec.index(one[-shards.codec.index_size :]) for one in (theirs, mine)]
    for where in np.ndindex(*shards.codec.counts):
        parts = [
            one[int(index[where][0]) : int(index[where].sum())]
            for one, index in zip((theirs, mine), places, strict=True)
        ]
        assert parts[0] == parts[1]


def test_an_array_of_another_make_is_read_as_well(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((6, 2, 8, 8)).astype("float32")
    zarr.create_array(tmp_path / "u", data=values, chunks=(2, 1, 8, 8))
    shards = Shards(tmp_path / "u")
    assert shards.codec is None
    assert np.array_equal(shards.read(range(1, 5), 1), values[1:5, 1])


def test_a_flipped_bit_and_a_torn_shard_are_told(tmp_path: Path) -> None:
    make(tmp_path / "x.zarr", (64, 64), 1, 8, "float32")
    path = tmp_path / "x.zarr" / "u" / "c" / "1" / "0" / "0" / "0"
    data = bytearray(path.read_bytes())
    shards = Shards(tmp_path / "x.zarr" / "u")
    for place, got in ((100, "other bytes"), (-10, "other bytes")):
        spoilt = data.copy()
        spoilt[place] ^= 1
        path.write_bytes(spoilt)
        with pytest.raises(OSError, match=f"as it was written, got {got}"):
            shards.read(range(8, 16), 0)
    path.write_bytes(data[:20])
    with pytest.raises(OSError, match="got a shorter file"):
        shards.read(range(8, 16), 0)
    assert shards.read(range(8), 0).shape == (8, 64, 64)  # another shard


def test_a_shard_that_lacks_members_is_told(tmp_path: Path) -> None:
    data = layout.template(Grid((64, 64)), range(8), [0.0], {"u": "u"}, "float32")
    layout.allocate(tmp_path / "x.zarr", data, 8)
    zarr.open_array(tmp_path / "x.zarr" / "u", mode="r+")[:4] = 1.0
    shards = Shards(tmp_path / "x.zarr" / "u")
    with pytest.raises(OSError, match="a shard without one of its chunks"):
        shards.read(range(8), 0)


@pytest.mark.parametrize("storage", ["full", "critical"])
def test_frames_are_stacked_as_in_memory(archive, storage: str) -> None:
    study = Study.load("smoke")
    values = study.simulation.model_dump() | {"storage": storage, "forcing": None}
    simulation = Simulation.model_validate(values)
    simulate(simulation, archive)
    training = study.training.model_copy(update={"simulation": simulation, "frames": (-1, 0)})
    fields = Fields(archive.folder(simulation) / "data.zarr", training.stack)
    truth = load(training, archive)
    assert fields.shape == truth.shape[1:]
    np.testing.assert_array_equal(fields.read(range(10, 40)), truth[10:40].numpy())
