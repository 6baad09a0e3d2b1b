"""Archives and studies of strangers: whatever they hold, opening them runs none of it.

Every payload makes a folder when it is loaded by the tool it was made for, which is shown first.
"""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
import zarr

from pushforward.archive import WEIGHTS, Archive
from pushforward.flows.browse import conditions
from pushforward.flows.usage import UsageError
from pushforward.shards import Fields
from pushforward.shelf import CHECKPOINT, MANIFEST
from pushforward.spec import Generation, Simulation
from pushforward.study import Study
from pushforward.training import train


def pickled(path: Path, bomb: object) -> None:
    path.write_bytes(pickle.dumps(bomb))


def saved_by_torch(path: Path, bomb: object) -> None:
    torch.save({"weights": torch.zeros(2), "optimizer": bomb}, path)


def saved_by_numpy(path: Path, bomb: object) -> None:
    with path.open("wb") as file:
        np.save(file, np.array([bomb], dtype=object), allow_pickle=True)


def behind_a_header(path: Path, bomb: object) -> None:
    """Shaped like safetensors, with metadata that is a pickle."""
    text = json.dumps({"__metadata__": {"json": pickle.dumps(bomb, protocol=0).decode("latin-1")}})
    path.write_bytes(len(text.encode()).to_bytes(8, "little") + text.encode())


WRITERS: dict[Callable[[Path, object], None], Callable[[Path], Any]] = {
    pickled: lambda path: pickle.loads(path.read_bytes()),
    saved_by_torch: lambda path: torch.load(path, weights_only=False),
    saved_by_numpy: lambda path: np.load(path, allow_pickle=True),
    behind_a_header: lambda path: pickle.loads(
        json.loads(path.read_bytes()[8:])["__metadata__"]["json"].encode("latin-1")
    ),
}
each = pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)


@each
def test_the_payloads_do_run(
    write: Callable[[Path, object], None], bomb: object, marker: Path, tmp_path: Path
) -> None:
    """Negative control: loaded by what they are made for, they leave their mark."""
    write(tmp_path / "file", bomb)
    assert not marker.exists()
    WRITERS[write](tmp_path / "file")
    assert marker.is_dir()


@each
def test_weights_that_are_a_payload(
    write: Callable[[Path, object], None],
    bomb: object,
    marker: Path,
    spoilt: Archive,
    generation: Generation,
    reseal: Callable[..., None],
    in_one_sentence: Callable[[BaseException], None],
) -> None:
    training = generation.training
    assert spoilt.surrogate(training) is not None  # before it is spoilt
    write(spoilt.folder(training) / WEIGHTS, bomb)
    with pytest.raises(OSError, match="as it was sealed"):
        spoilt.surrogate(training)
    reseal(spoilt, training)
    with pytest.raises(OSError, match="expected tensors as safetensors") as refused:
        spoilt.surrogate(training)
    in_one_sentence(refused.value)
    assert not marker.exists()


@each
def test_a_checkpoint_that_is_a_payload(
    write: Callable[[Path, object], None],
    bomb: object,
    marker: Path,
    spoilt: Archive,
    generation: Generation,
    reseal: Callable[..., None],
    in_one_sentence: Callable[[BaseException], None],
) -> None:
    training = generation.training
    for name in (MANIFEST, WEIGHTS):
        (spoilt.folder(training) / name).unlink()
    write(spoilt.folder(training) / CHECKPOINT, bomb)
    with pytest.raises(OSError, match="expected a whole checkpoint") as refused:
        train(training, spoilt)
    in_one_sentence(refused.value)
    assert not marker.exists()


def chunks_that_unpickle(path: Path, payload: bytes) -> None:
    """Arrays of Zarr 2 in place of those that are there, whose last codec is a pickle."""
    shutil.rmtree(path)
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.create_array("member", data=np.arange(8), attributes={"_ARRAY_DIMENSIONS": ["member"]})
    for name, shape in (("vorticity", [8, 1, 8, 8]), ("forcing", [8, 8, 8])):
        about = {"shape": shape, "chunks": shape, "dtype": "|O", "fill_value": "", "order": "C"}
        codecs = {"filters": [{"id": "vlen-utf8"}], "compressor": {"id": "pickle"}}
        (path / name).mkdir()
        (path / name / ".zarray").write_text(json.dumps(about | codecs | {"zarr_format": 2}))
        dims = [f"{name}{axis}" for axis in range(1, len(shape))]
        attributes = {"_ARRAY_DIMENSIONS": ["member", *dims]}
        (path / name / ".zattrs").write_text(json.dumps(attributes))
        (path / name / ".".join("0" * len(shape))).write_bytes(payload)


def test_an_array_whose_codec_unpickles(
    payload: bytes,
    marker: Path,
    spoilt: Archive,
    generation: Generation,
    reseal: Callable[..., None],
    in_one_sentence: Callable[[BaseException], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # later versions of numcodecs refuse by themselves
    monkeypatch.setattr("numcodecs.pickles.ALLOW_UNSAFE_PICKLE_DECODE", True, raising=False)
    simulation = generation.training.simulation
    path = spoilt.folder(simulation) / "data.zarr"
    chunks_that_unpickle(path, payload)
    reseal(spoilt, simulation)
    with pytest.raises(OSError, match="expected arrays of Zarr 3") as refused:
        spoilt.open(simulation).load()
    in_one_sentence(refused.value)
    assert {"block 0", "block 1"} <= set(spoilt.verify(simulation))
    with pytest.raises(FileNotFoundError):
        Fields(path, [(-1, "vorticity")])
    assert not marker.exists()
    with pytest.raises((AttributeError, TypeError)):  # a payload that has run is no array
        zarr.open_array(path / "vorticity", mode="r")[:]
    assert marker.is_dir()  # negative control: opened like that, it runs


@pytest.mark.parametrize("codec", ["pickle", "numcodecs.pickle", "json2", "os.system"])
def test_a_codec_that_nobody_registered(
    codec: str,
    spoilt: Archive,
    generation: Generation,
    reseal: Callable[..., None],
    in_one_sentence: Callable[[BaseException], None],
) -> None:
    simulation: Simulation = generation.training.simulation
    path = spoilt.folder(simulation) / "data.zarr" / "vorticity" / "zarr.json"
    text = path.read_text()
    assert '"blosc"' in text
    spoilt.open(simulation).load()
    path.write_text(text.replace('"blosc"', json.dumps(codec)))
    reseal(spoilt, simulation)
    with pytest.raises(OSError, match="codecs that are known") as refused:
        spoilt.open(simulation).load()
    in_one_sentence(refused.value)
    assert "block 0" in spoilt.verify(simulation)


def test_a_study_that_calls_python(
    marker: Path, tmp_path: Path, in_one_sentence: Callable[[BaseException], None]
) -> None:
    value = f"!!python/object/apply:os.mkdir ['{marker}']"
    study = tmp_path / "study.yaml"
    study.write_text(f"title: {value}\n")
    for load in (
        lambda: Study.load(study),
        lambda: Study.load("smoke", [f"title={value}"]),
        lambda: conditions((f"title={value}",)),
    ):
        with pytest.raises((ValueError, UsageError)) as refused:
            load()
        in_one_sentence(refused.value)
    assert not marker.exists()
    yaml.unsafe_load(study.read_text())
    assert marker.is_dir()  # negative control
