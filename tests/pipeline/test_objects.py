"""An archive at a URL: the same verbs leave the same bytes, in memory and in S3.

S3 is moto's server, a process of its own on the loopback interface.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from upath import UPath

from pushforward import files, layout
from pushforward.archive import Archive
from pushforward.flows import cli
from pushforward.garbage import garbage
from pushforward.generation import generate
from pushforward.places import absolute, place
from pushforward.repair import repair
from pushforward.shelf import CHECKPOINT
from pushforward.simulation import simulate
from pushforward.study import Study
from pushforward.training import train

KEYS = {"AWS_ACCESS_KEY_ID": "lab-key", "AWS_SECRET_ACCESS_KEY": "lab-secret"}


@pytest.fixture(scope="module")
def study() -> Study:
    return Study.load("smoke", ["training.steps=4"])


@pytest.fixture(scope="module")
def local(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """The whole study in a folder."""
    return run(study, Archive(tmp_path_factory.mktemp("local")))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3 on this machine."""
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(address, timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty bucket, for this process and those it starts."""
    import s3fs

    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    name = f"lab-{time.time_ns()}"
    s3fs.S3FileSystem(use_listings_cache=False).mkdir(name)
    return f"s3://{name}/runs"


@pytest.fixture
def memory() -> str:
    return f"memory://lab-{time.time_ns()}/runs"


@pytest.fixture(params=["memory", "bucket"])
def url(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue(request.param)


def run(study: Study, archive: Archive, workers: int = 1) -> Archive:
    simulate(study.simulation, archive, workers=workers)
    train(study.training, archive)
    generate(study.generation, archive, workers=workers)
    return archive


def arrays(archive: Archive, study: Study) -> dict[str, str]:
    """The checksum of every file of arrays and weights."""
    found = {}
    for spec in (study.simulation, study.training, study.generation):
        folder = archive.folder(spec)
        for name in files.listing(folder):
            if name.startswith("data.zarr") or name.endswith(".safetensors"):
                found[f"{spec.name}/{name}"] = files.digest(folder / name)
    return found


def test_a_study_at_a_url_has_the_bytes_of_one_in_a_folder(study: Study, local: Archive, url: str):
    archive = run(study, Archive(url))
    assert isinstance(archive.root, UPath)
    truth = arrays(local, study)
    assert len(truth) > 10
    assert arrays(archive, study) == truth
    assert arrays(run_other(study), study) != truth
    for spec in (study.simulation, study.training, study.generation):
        assert archive.verify(spec) == []
    xr.testing.assert_identical(
        archive.open(study.generation).load(), local.open(study.generation).load()
    )
    assert [one.name for one in archive.search()] == [one.name for one in local.search()]


def run_other(study: Study) -> Archive:
    """The study with another seed."""
    archive = Archive(f"memory://other-{time.time_ns()}")
    simulate(study.simulation.model_copy(update={"seed": 1}), archive)
    return archive


def test_damage_is_found_and_exactly_that_is_made_again(study: Study, url: str):
    archive = Archive(url)
    simulate(study.simulation, archive)
    folder = archive.folder(study.simulation)
    names = [name for name in files.listing(folder) if "/c/" in name]
    whole = {name: files.read_bytes(folder / name) for name in names}
    shard = next(name for name in names if "vorticity/c/1/" in name)
    spoilt = bytearray(whole[shard])
    spoilt[100] ^= 1
    files.write_bytes(folder / shard, bytes(spoilt))
    assert archive.verify(study.simulation) == ["block 1"]
    times = {name: one.time for name, one in files.listing(folder).items()}
    repair(study.simulation.name, archive)
    assert archive.verify(study.simulation) == []
    assert {name: files.read_bytes(folder / name) for name in names} == whole
    assert files.listing(folder)[names[0]].time == times[names[0]] or shard == names[0]


def test_a_run_goes_on_grows_and_is_cleared_away(study: Study, url: str):
    archive, small = Archive(url), study.simulation
    simulate(small, archive)
    large = small.model_copy(update={"members": small.members + small.block})
    simulate(large, archive)
    markers = [archive.manifest(spec)["blocks"] for spec in (small, large)]
    assert markers[1][: len(markers[0])] == markers[0]  # taken, not computed
    files.remove(archive.folder(large) / "manifest.json")
    files.remove(archive.marker(large, 0))
    assert archive.missing(large) == [0]
    simulate(large, archive)
    assert archive.verify(large) == []
    found = garbage(archive, [study.training], age=-1.0)
    assert found == []  # grown ones are kept
    other = small.model_copy(update={"seed": 5})
    simulate(other, archive)
    found = garbage(archive, [study.training], age=-1.0)
    assert [one.path.name for one in found] == [other.name]
    assert found[0].size > 1000
    found[0].remove()
    assert {one.name for one in archive.search()} == {small.name, large.name}


def test_lines_are_added_and_files_are_whole(url: str):
    path = place(url) / "x" / "metrics.jsonl"
    assert files.read_lines(path) == []
    for text in ("one", "two\n"):
        files.append_line(path, text)
    assert files.read_lines(path) == ["one", "two"]
    files.write_bytes(path, b"one\ntor")
    files.append_line(path, "two")
    assert files.read_lines(path) == ["one", "two"]
    assert [*files.read_parts(path, [(0, 3), (4, 2)])] == [b"one", b"tw"]
    assert files.read_tail(path, 4) == b"two\n"
    files.remove(path)
    files.remove(path)
    assert files.listing(place(url)) == {}
    with pytest.raises(FileNotFoundError):
        files.read_bytes(path)


def test_processes_share_a_bucket(study: Study, local: Archive, bucket: str):
    archive = Archive(bucket)
    simulate(study.simulation, archive, workers=2)
    truth = arrays(local, study)
    mine = arrays(archive, study)
    assert mine
    assert mine == {name: truth[name] for name in mine}


def test_processes_do_not_share_memory(study: Study, memory: str):
    with pytest.raises(ValueError, match="expected one worker for an archive in this process's"):
        simulate(study.simulation, Archive(memory), workers=2)


def test_a_store_that_does_not_answer_is_no_damage(
    study: Study, memory: str, monkeypatch: pytest.MonkeyPatch
):
    archive = Archive(memory)
    simulate(study.simulation, archive)
    assert archive.verify(study.simulation) == []

    for refusal in (
        TimeoutError("no answer"),
        PermissionError(13, "expired"),
        OSError(16, "busy"),
    ):

        def refuse(*_: object, refusal: OSError = refusal) -> None:
            raise refusal

        with monkeypatch.context() as patch:
            patch.setattr(layout, "checksums", refuse)
            with pytest.raises(type(refusal)):
                archive.verify(study.simulation)
            files.remove(archive.folder(study.simulation) / "manifest.json")
            with pytest.raises(type(refusal)):
                archive.seal(study.simulation)
        assert archive.missing(study.simulation) == []
        archive.seal(study.simulation)


def test_a_refused_question_is_not_a_no(study: Study, memory: str, monkeypatch):
    archive = Archive(memory)
    simulate(study.simulation, archive)
    short = study.training.model_copy(update={"steps": 40})
    with pytest.raises(InterruptedError):
        train(short, archive, max_seconds=1e-9)
    before = files.read_bytes(archive.folder(short) / CHECKPOINT)
    store: Any = type(UPath(memory).fs)
    info = store.info

    def refuse(self, path: str, **options: object):
        if path.endswith(CHECKPOINT):
            raise PermissionError(13, "the token expired")
        return info(self, path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(store, "info", refuse)
        with pytest.raises(OSError, match="the token expired"):
            train(short, archive)
    assert files.read_bytes(archive.folder(short) / CHECKPOINT) == before


def test_credentials_are_no_part_of_a_url():
    for url in ("s3://key:secret@lab/runs", "https://lab.org/runs?token=secret"):
        with pytest.raises(ValueError, match="without credentials") as caught:
            Archive(url)
        assert "secret" not in str(caught.value)
    with pytest.raises(ValueError, match="a URL that fsspec knows, got nowhere://lab"):
        Archive("nowhere://lab")


def test_folders_are_named_in_full_and_urls_as_they_are(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute("runs") == str(tmp_path / "runs")
    assert absolute("memory://lab/runs") == "memory://lab/runs"
    assert isinstance(place(f"file://{tmp_path}"), Path)


def test_a_store_that_refuses_is_one_sentence(
    bucket: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    missing = "s3://no-such-bucket-here/runs"
    for root in (missing, bucket):
        if root == bucket:  # nobody listens there
            import s3fs

            s3fs.S3FileSystem.clear_instance_cache()
            monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
            monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        with pytest.raises(SystemExit) as caught:
            cli.main(["simulate", "smoke", "--no-prefect", "--workers", "1", "--root", root])
        said = capsys.readouterr().err.strip().splitlines()
        assert caught.value.code == 1
        assert "expected" in said[-1]
        assert "Traceback" not in "\n".join(said)
        assert not any(value in "\n".join(said) for value in KEYS.values())


def test_members_are_read_from_a_bucket_as_from_a_disk(study: Study, local: Archive, bucket: str):
    from pushforward.shards import Fields

    archive = Archive(bucket)
    simulate(study.simulation, archive)
    both = [
        Fields(one.folder(study.simulation) / "data.zarr", study.training.stack)
        for one in (archive, local)
    ]
    assert np.array_equal(both[0].read(range(3, 21)), both[1].read(range(3, 21)))
    assert os.environ["AWS_ACCESS_KEY_ID"] == KEYS["AWS_ACCESS_KEY_ID"]
