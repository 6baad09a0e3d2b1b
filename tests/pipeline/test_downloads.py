"""Files are found where they are said to be, or fetched, and are what their checksums say."""

from __future__ import annotations

import gzip
import hashlib
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from pushforward import downloads
from pushforward.downloads import FOLDER, cache, extra, find

CONTENT = b"images of digits"
SUM = hashlib.sha256(CONTENT).hexdigest()
WRONG = "0" * 64
HTTP = ("http",)


@pytest.fixture(autouse=True)
def away_from_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "cache", lambda: tmp_path / "cache")
    monkeypatch.delenv(FOLDER, raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file somewhere within it."""
    path = tmp_path / "mine" / "raw"
    path.mkdir(parents=True)
    (path / "a.bin").write_bytes(CONTENT)
    return tmp_path / "mine"


class Handler(SimpleHTTPRequestHandler):
    """A server that counts what is asked of it, and is quiet."""

    asked: list[str]

    def log_message(self, format: str, *args: object) -> None:
        self.asked.append(self.path)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """The URL of a file on this machine, and the requests so far."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "a.bin").write_bytes(CONTENT)
    handler = type("Counting", (Handler,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/a.bin", handler.asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def contents(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("known", [None, SUM, SUM.upper(), f"sha256:{SUM}"])
def test_a_file_within_a_folder(folder: Path, known: str | None) -> None:
    assert find("a.bin", str(folder), sha256=known) == folder / "raw" / "a.bin"


def test_other_kinds_of_checksums(folder: Path) -> None:
    md5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    assert find("a.bin", str(folder), sha256=f"md5:{md5}").name == "a.bin"


def test_a_file_of_another_checksum(folder: Path) -> None:
    with pytest.raises(ValueError, match="take the file as it is published") as refused:
        find("a.bin", str(folder), sha256=WRONG)
    sentence = str(refused.value)
    assert WRONG in sentence
    assert SUM in sentence
    assert "a.bin" in sentence


def test_a_file_that_changes_is_checked_again(folder: Path) -> None:
    assert find("a.bin", str(folder), sha256=SUM)
    (folder / "raw" / "a.bin").write_bytes(b"something else")
    with pytest.raises(ValueError, match="got"):
        find("a.bin", str(folder), sha256=SUM)
    (folder / "raw" / "a.bin").rename(folder / "a.bin")
    (folder / "a.bin").write_bytes(CONTENT)
    assert find("a.bin", str(folder), sha256=SUM) == folder / "a.bin"


def test_the_environments_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(folder))
    assert find("a.bin") == folder / "raw" / "a.bin"
    nearer = folder.parent / "nearer"
    nearer.mkdir()
    assert find("a.bin", str(nearer)) == folder / "raw" / "a.bin"
    (nearer / "a.bin").write_bytes(CONTENT)
    assert find("a.bin", str(nearer)) == nearer / "a.bin"
    monkeypatch.setenv(FOLDER, str(folder / "gone"))
    with pytest.raises(ValueError, match=r"expected a folder, got .*gone"):
        find("a.bin")


def test_a_file_that_was_packed_again(folder: Path) -> None:
    """The checksum of what it unpacks to says that it is the same one."""
    path = folder / "b.bin.gz"
    path.write_bytes(gzip.compress(CONTENT, 1))
    first = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(gzip.compress(CONTENT, 9, mtime=5))
    assert hashlib.sha256(path.read_bytes()).hexdigest() != first
    with pytest.raises(ValueError, match=first):  # negative control
        find("b.bin.gz", str(folder), sha256=first)
    assert find("b.bin.gz", str(folder), sha256=first, contents=SUM) == path
    with pytest.raises(ValueError, match=first):
        find("b.bin.gz", str(folder), sha256=first, contents=WRONG)
    path.write_bytes(b"\x1f\x8b no gzip")
    with pytest.raises(ValueError, match=first):
        find("b.bin.gz", str(folder), sha256=first, contents=SUM)


def test_a_file_that_was_unpacked(folder: Path) -> None:
    name, path = "a.bin.gz", folder / "raw" / "a.bin"
    assert find(name, str(folder), sha256=WRONG, contents=SUM) == path
    assert find(name, str(folder)) == path
    with pytest.raises(ValueError, match=WRONG):
        find(name, str(folder), sha256=SUM, contents=WRONG)
    with pytest.raises(FileNotFoundError):  # what it should be is not known
        find(name, str(folder), sha256=WRONG)


@pytest.mark.parametrize("name", ["", ".", "..", "raw/a.bin", "../a.bin", "/etc/hostname"])
def test_names_are_no_paths(folder: Path, name: str) -> None:
    with pytest.raises(ValueError, match="expected the name of a file"):
        find(name, str(folder))


def test_no_file_and_no_url(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"expected b in {folder}, got none; ask; give"):
        find("b", str(folder), hint="ask; ")
    with pytest.raises(FileNotFoundError, match=r"expected b in \$PUSHFORWARD_DATA, which is not"):
        find("b")
    with pytest.raises(ValueError, match="expected a folder"):
        find("b", str(tmp_path / "nowhere"))


def test_a_file_is_fetched_once(folder: Path, served: tuple[str, list[str]]) -> None:
    (folder / "raw" / "a.bin").rename(folder / "raw" / "other.bin")
    url, asked = served
    path = find("a.bin", str(folder), url, SUM, protocols=HTTP)
    assert path.read_bytes() == CONTENT
    assert path.parent == downloads.cache()
    assert asked == ["/a.bin"]
    assert find("a.bin", str(folder), url, SUM, protocols=HTTP) == path
    assert asked == ["/a.bin"]
    assert contents(folder) == {"raw/other.bin"}  # the user's folder is as it was


def test_a_folder_may_be_a_url(served: tuple[str, list[str]]) -> None:
    url, asked = served
    base = url.rsplit("/", 1)[0]
    path = find("a.bin", f"{base}/", "https://nowhere.invalid/a.bin", SUM, protocols=HTTP)
    assert path.read_bytes() == CONTENT
    assert asked == ["/a.bin"]
    with pytest.raises(ValueError, match="checksum"):
        find("a.bin", base, protocols=HTTP)
    with pytest.raises(ValueError, match="expected a URL of https or ftp"):
        find("a.bin", "file:///etc", sha256=SUM)


def test_what_was_damaged_in_the_cache_is_fetched_again(served: tuple[str, list[str]]) -> None:
    url, asked = served
    path = find("a.bin", None, url, SUM, protocols=HTTP)
    path.write_bytes(b"half")
    assert find("a.bin", None, url, SUM, protocols=HTTP).read_bytes() == CONTENT
    assert len(asked) == 2


def test_what_comes_is_something_else(served: tuple[str, list[str]]) -> None:
    with pytest.raises(ValueError, match=rf"expected a\.bin of checksum {WRONG}") as refused:
        find("a.bin", None, served[0], WRONG, protocols=HTTP)
    assert "\n" not in str(refused.value)
    assert "simulation.location=FOLDER" in str(refused.value)
    assert not (downloads.cache() / "a.bin").exists()


def test_without_a_network(folder: Path, served: tuple[str, list[str]]) -> None:
    closed = "http://127.0.0.1:9/a.bin"
    for url in (closed, served[0] + ".missing"):
        with pytest.raises(OSError, match=r"expected b\.bin in") as refused:
            find("b.bin", str(folder), url, SUM, protocols=HTTP)
        sentence = str(refused.value)
        assert "\n" not in sentence
        for part in (str(folder), url, "got", "give simulation.location=FOLDER"):
            assert part in sentence


@pytest.mark.parametrize("url", ["http://127.0.0.1/a", "file:///etc/hostname", "sftp://a/b", "a"])
def test_other_protocols_are_not_spoken(url: str) -> None:
    with pytest.raises(ValueError, match="expected a URL of https or ftp and a checksum"):
        find("a", None, url, SUM)


def test_nothing_is_fetched_unchecked(served: tuple[str, list[str]]) -> None:
    with pytest.raises(ValueError, match=r"and a checksum, got http.* and None"):
        find("a.bin", None, served[0], protocols=HTTP)
    assert served[1] == []


def test_without_pooch(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    assert find("a.bin", str(folder), "https://nowhere.invalid/a.bin", SUM)  # none is needed
    with pytest.raises(LookupError, match=r'pip install "pushforward\[images\]"'):
        find("b.bin", str(folder), "https://nowhere.invalid/b.bin", SUM)
    with pytest.raises(LookupError, match="expected the package pooch"):
        cache()
    assert extra("json").__name__ == "json"
