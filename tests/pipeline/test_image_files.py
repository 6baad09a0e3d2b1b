"""Published formats: what is written is read again, and whatever else there is is refused."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pushforward import downloads, image_files
from pushforward.image_archives import open_arrays, open_patches, write_arrays, write_patches
from pushforward.image_files import Bounded, read_cifar, read_idx, write_cifar, write_idx
from pushforward.interferogram_files import open_interferograms, write_interferograms

quick = settings(max_examples=25, deadline=None)
READERS: dict[str, Callable[[Any], Any]] = {
    "idx": read_idx,
    "cifar": read_cifar,
    "patches": lambda file: open_patches(file)[0],
    "arrays": lambda file: open_arrays(file)[0],
    "interferograms": lambda file: open_interferograms(file)[0],
}


def images(*shape: int) -> st.SearchStrategy[Any]:
    """1 to 4 images of any bytes."""
    return st.integers(1, 4).flatmap(lambda n: hnp.arrays(np.uint8, (n, *shape)))


def specimen(kind: str) -> bytes:
    """A sound file of two images."""
    rng, stream = np.random.default_rng(0), io.BytesIO()
    bytes_of = lambda *shape: rng.integers(0, 256, (2, *shape), np.uint8)  # noqa: E731
    if kind == "idx":
        write_idx(stream, bytes_of(1, 28, 28))
    elif kind == "cifar":
        write_cifar(stream, bytes_of(3, 32, 32))
    elif kind == "patches":
        write_patches(stream, bytes_of(3, 96, 96))
    elif kind == "arrays":
        write_arrays(stream, bytes_of(3, 32, 32))
    else:
        phase = rng.normal(size=(2, 1, 128, 128))
        write_interferograms(stream, np.exp(1j * phase).astype(np.complex64))
    return stream.getvalue()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setattr(downloads, "cache", lambda: folder)
    return folder


def tar_of(names: dict[str, bytes], path: Path) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in names.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


def records(images: Any) -> bytes:
    stream = io.BytesIO()
    write_cifar(stream, images)
    return stream.getvalue()


@quick
@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9), st.booleans(), st.data())
def test_idx_comes_back(
    n: int, height: int, width: int, packed: bool, data: st.DataObject
) -> None:
    given_ = data.draw(hnp.arrays(np.uint8, (n, 1, height, width)))
    stream = io.BytesIO()
    write_idx(stream, given_)
    file = io.BytesIO(gzip.compress(stream.getvalue())) if packed else stream
    np.testing.assert_array_equal(read_idx(file), given_)


@quick
@given(images(3, 32, 32), st.booleans())
def test_records_come_back(given_: Any, packed: bool) -> None:
    content = records(given_)
    file = io.BytesIO(gzip.compress(content) if packed else content)
    np.testing.assert_array_equal(read_cifar(file), given_)


@quick
@given(images(3, 96, 96), st.lists(st.integers(0, 3), max_size=6))
def test_patches_come_back(given_: Any, numbers: list[int]) -> None:
    stream = io.BytesIO()
    write_patches(stream, given_)
    pages = open_patches(stream)[0]
    asked = np.array(numbers, int) % len(given_)
    assert pages.shape == given_.shape
    np.testing.assert_array_equal(pages[asked], given_[asked])


@quick
@given(images(3, 32, 32), st.booleans())
def test_arrays_come_back(given_: Any, compressed: bool) -> None:
    stream = io.BytesIO()
    write_arrays(stream, given_, compressed=compressed)
    np.testing.assert_array_equal(open_arrays(stream)[0][np.arange(len(given_))], given_)


@quick
@given(
    hnp.arrays(
        np.complex64,
        (2, 1, 128, 128),
        elements=st.complex_numbers(
            max_magnitude=1e6, allow_nan=False, allow_infinity=False, width=64
        ),
        fill=st.just(1j),
    )
)
def test_interferograms_come_back(given_: Any) -> None:
    stream = io.BytesIO()
    write_interferograms(stream, given_)
    np.testing.assert_array_equal(open_interferograms(stream)[0][np.array([1, 0])], given_[::-1])


@pytest.mark.parametrize("kind", READERS)
def test_files_are_read_as_streams_are(kind: str, tmp_path: Path) -> None:
    content = specimen(kind)
    path = tmp_path / "file"
    path.write_bytes(content)
    found, same = READERS[kind](path), READERS[kind](io.BytesIO(content))
    numbers = np.array([1, 0, 1])
    np.testing.assert_array_equal(found[numbers], same[numbers])
    assert tuple(found.shape) == tuple(same.shape)


@pytest.mark.parametrize("kind", ["idx", "arrays"])
def test_what_is_not_packed_is_mapped(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(specimen(kind))
    found, owner = READERS[kind](tmp_path / "file"), []
    while found is not None:
        owner.append(type(found))
        found = getattr(found, "base", None)
    assert np.memmap in owner


@pytest.mark.parametrize("kind", READERS)
@quick
@given(cut=st.floats(0, 0.999))
def test_a_part_of_a_file_is_refused(kind: str, cut: float) -> None:
    content = specimen(kind)
    part = content[: int(cut * len(content))]
    if kind == "cifar" and len(part) and len(part) % 3073 == 0:
        return  # as many whole records as there are is a file
    with pytest.raises(ValueError, match=r"expected .*got"):
        READERS[kind](io.BytesIO(part))[np.arange(2)]


@pytest.mark.parametrize("kind", READERS)
@quick
@given(other=st.sampled_from(sorted(READERS)))
def test_a_file_of_another_format_is_refused(kind: str, other: str) -> None:
    if kind == other:
        return
    with pytest.raises(ValueError, match=r"expected .*got") as refused:
        READERS[kind](io.BytesIO(specimen(other)))[np.arange(2)]
    assert "\n" not in str(refused.value)
    assert "a stream" in str(refused.value)  # the file is named


@pytest.mark.parametrize("kind", ["idx", "arrays", "interferograms"])
@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_bytes_that_were_changed_raise_nothing_else(kind: str, data: st.DataObject) -> None:
    """Whatever is in a file, it is images or a ValueError."""
    content = bytearray(specimen(kind))
    ends = [*range(min(200, len(content))), *range(len(content) - 400, len(content))]
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.sampled_from(ends))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ValueError, IndexError):  # of fewer images the second is missing
        READERS[kind](io.BytesIO(bytes(content)))[np.arange(2)]


def test_the_batches_of_a_tar(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    train, more, test = (rng.integers(0, 256, (2, 3, 32, 32), np.uint8) for _ in range(3))
    folder = "cifar-10-batches-bin"
    names = {
        f"{folder}/data_batch_2.bin": records(more),
        f"{folder}/readme.html": b"text",
        f"{folder}/test_batch.bin": records(test),
        f"{folder}/data_batch_1.bin": records(train),
    }
    path = tar_of(names, tmp_path / "cifar-10-binary.tar.gz")
    np.testing.assert_array_equal(read_cifar(path), np.concatenate([train, more, test]))
    np.testing.assert_array_equal(read_cifar(path, "train"), np.concatenate([train, more]))
    np.testing.assert_array_equal(read_cifar(path, "test"), test)
    del names[f"{folder}/test_batch.bin"]
    with pytest.raises(ValueError, match="expected files like test_batch"):
        read_cifar(tar_of(names, tmp_path / "other.tar.gz"))


def test_several_npz_in_a_zip(tmp_path: Path, own_cache: Path) -> None:
    rng = np.random.default_rng(0)
    parts = [rng.integers(0, 256, (n, 3, 32, 32), np.uint8) for n in (1, 2, 3)]
    path = tmp_path / "Imagenet32_train_npz.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, part in zip((10, 2, 1), parts, strict=True):
            stream = io.BytesIO()
            write_arrays(stream, part)
            archive.writestr(
                f"Imagenet32_train_npz/train_data_batch_{number}.npz", stream.getvalue()
            )
    found = open_arrays(path)
    assert [each.shape[0] for each in found] == [3, 2, 1]  # 1, 2, 10: by their numbers
    for page, part in zip(found, parts[::-1], strict=True):
        np.testing.assert_array_equal(page[np.arange(len(part))], part)
    assert len(list(own_cache.iterdir())) == 3
    open_arrays(path)
    assert len(list(own_cache.iterdir())) == 3  # unpacked once
    np.testing.assert_array_equal(
        open_arrays(io.BytesIO(path.read_bytes()))[0][np.arange(3)], parts[2]
    )


def test_gzipped_patches_are_unpacked_once(tmp_path: Path, own_cache: Path) -> None:
    path = tmp_path / "x.h5.gz"
    path.write_bytes(gzip.compress(specimen("patches")))
    for _ in range(2):
        found = open_patches(path)[0][np.array([1])]
        assert [one.name[:9] for one in own_cache.iterdir()] == ["unpacked-"]
    np.testing.assert_array_equal(
        found, open_patches(io.BytesIO(specimen("patches")))[0][np.array([1])]
    )
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["x.h5.gz"]


def test_interferograms_of_a_folder(tmp_path: Path) -> None:
    z = np.exp(1j * np.arange(3))[:, None, None, None] * np.ones((1, 128, 128))
    for name, image in zip(("b/1.int", "a/2.int", "a/10.int"), z, strict=True):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(image.astype("<c8").tobytes())
    (tmp_path / "a/._2.int").write_bytes(b"what a desktop leaves behind")
    found = open_interferograms(tmp_path)[0]
    assert found.shape == (3, 1, 128, 128)
    np.testing.assert_array_equal(found[np.arange(3)], z[[2, 1, 0]].astype(np.complex64))
    (tmp_path / "c.int").write_bytes(bytes(128 * 128 * 8 + 1))
    with pytest.raises(ValueError, match=r"131072 bytes .* in c\.int, got more"):
        open_interferograms(tmp_path)[0][np.array([3])]
    (tmp_path / "c.int").write_bytes(np.full((128, 128), np.nan, "<c8").tobytes())
    with pytest.raises(ValueError, match="finite values"):
        open_interferograms(tmp_path)[0][np.array([3])]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"expected \.int files in"):
        open_interferograms(tmp_path / "empty")


# what strangers may put into files


def test_names_of_archives_lead_nowhere(tmp_path: Path, own_cache: Path) -> None:
    """Members are streamed; what they are called is where nothing is written."""
    nest = tmp_path / "deep" / "nest"
    nest.mkdir(parents=True)
    outside = "../../escaped/data_batch_1.bin"
    image = np.zeros((1, 3, 32, 32), np.uint8)
    path = tar_of({outside: records(image)}, nest / "a.tar.gz")
    assert read_cifar(path, "train").shape == (1, 3, 32, 32)
    for name in ("../../escaped/val_data.npz", "/escaped/val_data.npz"):
        stream = io.BytesIO()
        write_arrays(stream, image)
        with zipfile.ZipFile(nest / "a.zip", "w") as archive:
            archive.writestr(name, stream.getvalue())
        assert open_arrays(nest / "a.zip")[0].shape == (1, 3, 32, 32)
    with zipfile.ZipFile(nest / "b.zip", "w") as archive:
        archive.writestr("../../escaped/a.int", np.ones((128, 128), "<c8").tobytes())
    assert open_interferograms(nest / "b.zip")[0][np.array([0])].shape == (1, 1, 128, 128)
    there = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert {name for name in there if not name.startswith("cache/unpacked-")} == {
        f"deep/nest/{name}" for name in ("a.tar.gz", "a.zip", "b.zip")
    }


def test_links_in_a_tar_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(records(np.zeros((1, 3, 32, 32), np.uint8)))
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            link = tarfile.TarInfo("data_batch_1.bin")
            link.type, link.linkname = kind, str(tmp_path / "secret")
            tar.addfile(link)
    with pytest.raises(ValueError, match="got none"):
        read_cifar(tmp_path / "a.tar.gz", "train")


@pytest.mark.parametrize("link", ["soft", "external", "raw"])
def test_datasets_out_of_their_file_are_not_followed(link: str, tmp_path: Path) -> None:
    write_patches(tmp_path / "secret.h5", np.zeros((1, 3, 96, 96), np.uint8))
    (tmp_path / "raw").write_bytes(bytes(96 * 96 * 3))
    with h5py.File(tmp_path / "a.h5", "w") as root:
        if link == "soft":
            root["y"] = np.zeros((1, 96, 96, 3), np.uint8)
            root["x"] = h5py.SoftLink("/y")
        elif link == "external":
            root["x"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "x")
        else:
            places = [(str(tmp_path / "raw"), 0, 96 * 96 * 3)]
            root.create_dataset("x", (1, 96, 96, 3), np.uint8, external=places)
    with pytest.raises(ValueError, match=r"expected a dataset x within .*a\.h5, got none"):
        open_patches(tmp_path / "a.h5")


def test_datasets_of_other_shapes_are_refused(tmp_path: Path) -> None:
    for shape, dtype in (((2, 32, 32, 3), np.uint8), ((2, 96, 96, 3), np.float32), ((), np.uint8)):
        with h5py.File(tmp_path / "a.h5", "w") as root:
            root["x"] = np.zeros(shape, dtype)
        with pytest.raises(ValueError, match=r"expected x \(member, 96, 96, 3\) of uint8"):
            open_patches(tmp_path / "a.h5")


def test_pickles_are_not_read(tmp_path: Path) -> None:
    import pickle

    class Bomb:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "went-off"),)

    stream = io.BytesIO()
    np.savez(stream, data=np.array([Bomb()], dtype=object))
    with pytest.raises(ValueError, match=r"expected data \(member, 3072\) of uint8"):
        open_arrays(stream)
    (tmp_path / "train_data_batch_1").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match=r"expected a zip of arrays.*the npz version"):
        open_arrays(tmp_path / "train_data_batch_1")
    with zipfile.ZipFile(tmp_path / "Imagenet32_train.zip", "w") as archive:
        archive.write(tmp_path / "train_data_batch_1", "train_data_batch_1")
    with pytest.raises(ValueError, match=r"got train_data_batch_1; take Imagenet32_t"):
        open_arrays(tmp_path / "Imagenet32_train.zip")
    assert not (tmp_path / "went-off").exists()
    pickle.loads((tmp_path / "train_data_batch_1").read_bytes())
    assert (tmp_path / "went-off").exists()  # negative control


def test_bombs_are_refused_as_they_unpack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_files, "MOST", 1 << 20)
    sizes = {"1568 bytes of images in a stream": 2, "images of 1 to 1048576 bytes": 1 << 20}
    for sentence, n in sizes.items():  # more than the header says, more than a file may have
        header = np.array([image_files.MAGIC, n, 28, 28], ">u4").tobytes()
        with pytest.raises(ValueError, match=f"expected {sentence}"):
            read_idx(io.BytesIO(gzip.compress(header + bytes(1 << 24))))
    with pytest.raises(ValueError, match="expected at most 1048576 bytes"):
        read_cifar(io.BytesIO(gzip.compress(bytes(1 << 24))))
    path = tar_of({"skipped": bytes(1 << 24)}, tmp_path / "a.tar.gz")
    with pytest.raises(ValueError, match="expected at most 1048576 bytes"):
        read_cifar(path)
    stream, counted = io.BytesIO(bytes(1 << 20)), Bounded(io.BytesIO(), 0, "")
    counted.stream, counted.most = stream, 1000
    with pytest.raises(ValueError, match="at most 1000"):
        counted.read()
    assert stream.tell() == 1001  # no more was taken


def test_a_zip_that_promises_much(tmp_path: Path) -> None:
    """A header of npy says more than there is, or a member more than it may have."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "|u1", "fortran_order": False, "shape": (10**9 - 1, 3072)}
    )
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / "a.npz", "w", compression) as archive:
            archive.writestr("data.npy", head.getvalue() + bytes(3072))
        with pytest.raises(ValueError, match="expected 3071999997056 bytes of data"):
            open_arrays(tmp_path / "a.npz")


def test_without_h5py(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(LookupError, match=r'pip install "pushforward\[images\]"'):
        open_patches(io.BytesIO(b""))


@pytest.mark.parametrize(
    ("write", "bad"),
    [
        (write_idx, np.zeros((2, 3, 4, 4), np.uint8)),
        (write_cifar, np.zeros((2, 3, 32, 32), np.float32)),
        (write_patches, np.zeros((3, 96, 96), np.uint8)),
        (write_arrays, np.zeros((2, 1, 32, 32), np.uint8)),
        (write_interferograms, np.zeros((2, 1, 128, 128), np.complex128)),
    ],
)
def test_other_images_are_not_written(write: Callable[..., None], bad: Any) -> None:
    with pytest.raises(ValueError, match=r"expected images \(member, .*got .*; reorder"):
        write(io.BytesIO(), bad)
