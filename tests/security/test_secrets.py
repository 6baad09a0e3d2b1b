"""Passwords and keys stay where they are: nothing that is stored, shown or logged has them.

A whole study runs as flows, in a process whose environment holds them; every byte that it leaves
in the archive and in Prefect's own folder is searched, arrays also as what they hold.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
import zarr
import zarr.codecs

from pushforward import Archive, Study, progress
from pushforward.credentials import hidden, refuse
from pushforward.flows import cli, runs
from pushforward.flows.clusters import Local
from pushforward.provenance import provenance

SECRETS = {
    name: f"secret{uuid4().hex}"
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "PREFECT_API_KEY",
        "WANDB_API_KEY",
        "FSSPEC_S3_SECRET",
        "A_PASSWORD",
    )
}
URLS = [
    "s3://key:{}@bucket/runs",
    "s3://key:a/b+{}@bucket/runs",
    "s3:/key:{}@bucket/runs",
    "https://user:{}@host/runs",
    "https://host/runs?sig={}",
]


def leaks(root: Path, secrets: dict[str, str]) -> list[str]:
    """The files below a folder, and the arrays, in which one of the secrets stands."""
    return sorted(
        f"{place}: {name}"
        for place, content in contents(root)
        for name, secret in secrets.items()
        if secret.encode() in content
    )


def contents(root: Path) -> Iterator[tuple[str, bytes]]:
    """Every file as it lies there, and every Zarr array as it is read."""
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        yield str(path.relative_to(root)), path.read_bytes()
        if path.name == "zarr.json" and json.loads(path.read_text())["node_type"] == "array":
            array = zarr.open_array(path.parent, mode="r")
            yield f"{path.parent.relative_to(root)} as read", np.asarray(array[...]).tobytes()


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Where a whole study was run with secrets in its environment, and what it printed."""
    where = tmp_path_factory.mktemp("secrets")
    own = {"PREFECT_HOME": str(where / "prefect"), "PREFECT_LOGGING_LEVEL": "DEBUG"}
    line = [sys.executable, "-m", "pushforward.flows", "run", "smoke", "--smoke", "--debug"]
    done = subprocess.run(
        [*line, "--workers", "1", "--root", str(where / "runs")],
        env={**os.environ, **SECRETS, **own},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return where, done.stdout + done.stderr


def test_nothing_that_is_left_has_a_secret_in_it(ran: tuple[Path, str]) -> None:
    where, printed = ran
    study = Study.load("smoke").smoke()
    archive = Archive(where / "runs")
    assert all(archive.sealed(spec) for spec in study.specs)
    assert (archive.folder(study.evaluation) / "report.html").is_file()
    assert (where / "prefect" / "prefect.db").is_file()
    assert leaks(where, SECRETS) == []
    assert study.evaluation.name in printed
    assert not [name for name, secret in SECRETS.items() if secret in printed]


def test_a_secret_that_is_there_is_found(ran: tuple[Path, str], tmp_path: Path) -> None:
    """Negative control: in a file, in an attribute, and compressed in an array."""
    one = {"ONE": "secret-of-one"}
    (tmp_path / "a.json").write_text(json.dumps({"environment": one}))
    group = zarr.open_group(tmp_path / "b.zarr", mode="w", attributes={"options": one["ONE"]})
    values = np.frombuffer(one["ONE"].encode() * 1000, np.uint8)
    group.create_array("x", data=values, compressors=[zarr.codecs.GzipCodec(level=9)])
    places = leaks(tmp_path, one)
    assert places == ["a.json: ONE", "b.zarr/x as read: ONE", "b.zarr/zarr.json: ONE"]
    assert leaks(ran[0], {"NAME": "simulation-"})  # what does stand there


def test_provenance_does_not_keep_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, secret in SECRETS.items():
        monkeypatch.setenv(name, secret)
    text = json.dumps(provenance())
    assert "torch" in text
    assert not [secret for secret in SECRETS.values() if secret in text]


@pytest.mark.parametrize("url", URLS)
def test_a_root_with_a_password_is_refused(
    url: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = SECRETS["AWS_SECRET_ACCESS_KEY"]
    root, study = url.format(secret), Study.load("smoke")
    monkeypatch.setattr("pushforward.flows.terminal.prefect_in_terminal", None)  # is not reached
    for action in (
        lambda: refuse(root),
        lambda: Archive(root),
        lambda: runs.as_flows([study], root, Local(workers=1), ("simulate",), {}, debug=False),
    ):
        with pytest.raises(ValueError, match="expected a root without credentials") as refused:
            action()
        assert secret not in str(refused.value)
    with pytest.raises(SystemExit) as left:
        cli.main(["simulate", "smoke", "--root", root])
    assert left.value.code == 1
    said = capfd.readouterr()
    assert "expected a root without credentials" in said.err
    assert secret not in said.err + said.out


@pytest.mark.parametrize(
    "root", ["runs", "s3://bucket/runs", "/home/user@host/runs", "file:///a/b", "C:/runs@2"]
)
def test_a_root_without_one_is_not(root: str) -> None:
    refuse(root)
    assert hidden(root) == root


def test_what_is_said_hides_them(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="pushforward"):
        progress.say("complete in s3://key:secret@bucket/runs")
    assert "complete in s3://***@bucket/runs" in caplog.text
    assert "secret" not in caplog.text
