"""Images as members: the same function on every grid, undone where they can be, and real ones."""

from __future__ import annotations

import hashlib
import io
import math
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from scipy.fft import dctn, idctn
from scipy.ndimage import zoom

from pushforward import downloads
from pushforward.downloads import FOLDER
from pushforward.image_archives import write_arrays, write_patches
from pushforward.image_files import write_cifar, write_idx
from pushforward.images import Images, Kind
from pushforward.interferogram_files import write_interferograms
from pushforward.published import COLLECTIONS
from pushforward.signed_distance import bilinear, signed_distance
from pushforward.solvers import Grid
from pushforward.stand_ins import stand_in, strokes

KINDS: tuple[Kind, ...] = get_args(Kind)
BOX = (1.0, 1.0)
Boundary = Literal["neumann", "periodic"]
boundaries = pytest.mark.parametrize("boundary", get_args(Boundary))


def square(n: int, boundary: Boundary = "neumann") -> Grid:
    return Grid((n, n), BOX, boundary)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small file of each format, each under a name of its own."""
    monkeypatch.delenv(FOLDER, raising=False)
    monkeypatch.setattr(downloads, "cache", lambda: tmp_path / "cache")
    where = tmp_path / "sets"
    where.mkdir()
    writers = {
        "mnist": write_idx,
        "cifar10": write_cifar,
        "pcam": write_patches,
        "imagenet32": write_arrays,
        "volcano": write_interferograms,
    }
    for kind, write in writers.items():
        stream = io.BytesIO()
        write(stream, stand_in(kind, range(4)))
        (where / kind).write_bytes(stream.getvalue())
    return where


# on grids


@pytest.mark.parametrize("kind", KINDS)
@boundaries
def test_on_the_native_grid_they_are_the_pixels(kind: Kind, boundary: Boundary) -> None:
    images = Images(kind, synthetic=True)
    field = images.draw([3, 1], replace(square(8, boundary), shape=images.native))
    assert field.dtype == torch.float64
    assert field.shape == (2, len(images.channels), *images.native)
    if kind == "volcano":
        torch.testing.assert_close(field.square().sum(1), torch.ones(2, 120, 120).double())
    else:
        assert torch.equal(field, images.pixels([3, 1]).double() / 255)


@pytest.mark.parametrize("kind", KINDS)
@boundaries
@pytest.mark.parametrize("points", [16, 40])
def test_a_member_is_one_function_on_every_grid(
    kind: Kind, boundary: Boundary, points: int
) -> None:
    """What a finer grid restricts to is what the coarser one has."""
    images, fine = Images(kind, synthetic=True), square(160, boundary)
    coarse = square(points, boundary)
    drawn = images.draw([5], coarse)
    restricted = fine.resample(images.draw([5], fine), coarse)
    torch.testing.assert_close(restricted, drawn, rtol=0, atol=1e-12)
    if points == 16:  # negative control: points alone alias
        every = images.draw([5], fine)[..., ::10, ::10]
        assert float((every - drawn).abs().max()) > 1e-3


def test_between_walls_they_are_scipys_cosines() -> None:
    """28 pixels at 64 points: the cosine transform padded."""
    images = Images("mnist", synthetic=True)
    pixels = images.pixels([0])[0, 0].numpy() / 255
    waves = np.zeros((64, 64))
    waves[:28, :28] = np.asarray(dctn(pixels, norm="ortho")) * 64 / 28
    expected = np.asarray(idctn(waves, norm="ortho"))
    np.testing.assert_allclose(images.draw([0], square(64))[0, 0], expected, atol=1e-12)


@boundaries
def test_means_stay(boundary: Boundary) -> None:
    images = Images("cifar10", synthetic=True)
    means = [images.draw([2], square(n, boundary)).mean((0, 2, 3)) for n in (8, 32, 48)]
    for mean in means[1:]:
        torch.testing.assert_close(mean, means[0])


def test_gray_is_the_luma() -> None:
    images = Images("imagenet32", synthetic=True)
    red, green, blue = images.draw([4], square(24))[0]
    gray = replace(images, gray=True)
    torch.testing.assert_close(
        gray.draw([4], square(24))[0, 0], 0.299 * red + 0.587 * green + 0.114 * blue
    )
    assert list(gray.channels) == ["intensity"]


def test_boxes_need_not_be_square() -> None:
    grid = Grid((20, 44), (1.0, 3.0), "neumann")
    assert Images("mnist", synthetic=True).draw([0], grid).shape == (1, 1, 20, 44)


# signed distances


@pytest.mark.parametrize("radius", [4.0, 8.5, 11.0])
def test_the_distance_to_a_disc(radius: float) -> None:
    """|x| - r, to a pixel's diagonal; at 32 pixels, where bilinear weights are 0 and 1."""
    x = np.arange(32) - 15.5
    distance = np.hypot(x[:, None], x) - radius
    pixels = torch.from_numpy(255 * (distance < 0)).byte()[None, None]
    found = 32 * signed_distance(pixels)[0, 0].numpy()
    assert np.abs(found - distance).max() < math.sqrt(2)
    assert ((found < 0) == (distance < 0)).all()
    assert np.abs(found).min() >= 1
    assert np.abs(found + distance).max() > radius  # negative control: the other sign


def test_the_lattice_is_bilinear() -> None:
    """The same weights as scipy's, whose grid_mode keeps corners, too."""
    image = np.random.default_rng(0).integers(0, 256, (28, 28)).astype(float)
    expected: Any = zoom(image, 32 / 28, order=1, mode="nearest", grid_mode=True)
    weights = bilinear(28, 32)
    found = weights @ torch.from_numpy(image) @ weights.T
    np.testing.assert_allclose(found, expected, atol=1e-10)
    assert torch.equal(weights * 16, (weights * 16).round())  # exact: no rounding in any order


def test_outlines_of_strokes() -> None:
    images = Images("mnist", field="signed_distance", synthetic=True)
    field = images.draw(range(8), square(32))
    assert list(images.channels) == ["signed_distance"]
    inside = bilinear(28, 32) @ images.pixels(range(8)).double() @ bilinear(28, 32).T > 127.5
    assert torch.equal(field < 0, inside)
    assert float(field.abs().min()) == 1 / 32
    assert images.draw([0], square(128)).shape == (1, 1, 128, 128)


def test_an_image_without_an_outline() -> None:
    for value in (0, 255):
        with pytest.raises(ValueError, match="outline nowhere"):
            signed_distance(torch.full((1, 1, 28, 28), value, dtype=torch.uint8))


def test_stand_ins_all_have_outlines() -> None:
    signed_distance(torch.from_numpy(strokes(range(2000))))


# logits


@pytest.mark.parametrize("kind", ["mnist", "cifar10", "pcam", "imagenet32"])
def test_logits_are_undone(kind: Kind) -> None:
    images = Images(kind, field="logit", synthetic=True)
    field = images.draw([2, 9], Grid(images.native), seed=5)
    assert images.dequantisation is not None
    assert torch.equal(images.dequantisation.decode(field), images.pixels([2, 9]).long())
    assert float(field.abs().max()) < math.log(0.95 / 0.05)


def test_every_pixel_has_its_own_uniform_number() -> None:
    images = Images("cifar10", field="logit", synthetic=True)
    scale = images.dequantisation
    assert scale is not None
    members = range(40)
    s = (torch.sigmoid(images.draw(members, square(32), seed=1)) - 0.05) / 0.9
    v = 256 * s - images.pixels(members)
    n = v.numel()
    assert abs(float(v.mean()) - 0.5) < 4 * math.sqrt(1 / 12 / n)
    assert abs(float(v.var()) - 1 / 12) < 4 * math.sqrt((1 / 80 - 1 / 144) / n)
    for axis in range(4):  # neighbours along any axis know nothing of each other
        a, b = v.narrow(axis, 0, v.shape[axis] - 1), v.narrow(axis, 1, v.shape[axis] - 1)
        correlation = float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])
        assert abs(correlation) < 4 / math.sqrt(a.numel())
    again = images.draw(members, square(32), seed=1)
    other = images.draw(members, square(32), seed=2)
    assert torch.equal(again, images.draw(members, square(32), seed=1))
    assert not torch.equal(again, other)  # and the seed does


def test_intensities_know_no_seed() -> None:
    images = Images("mnist", synthetic=True)
    assert torch.equal(images.draw([0], square(28), 1), images.draw([0], square(28), 2))


# stand-ins


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=4, deadline=None)
@given(company=st.lists(st.integers(0, 50), min_size=2, max_size=6, unique=True))
def test_stand_ins_are_the_same_in_any_company(kind: Kind, company: list[int]) -> None:
    together = stand_in(kind, company)
    for number, image in zip(company, together, strict=True):
        np.testing.assert_array_equal(stand_in(kind, [number])[0], image)
    assert len(np.unique(together.reshape(len(company), -1), axis=0)) == len(company)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("field", ["intensity", "logit", "signed_distance", "phase"])
def test_fields_are_the_same_in_any_company(kind: Kind, field: Any) -> None:
    if field not in COLLECTIONS[kind].fields:
        return
    images = Images(kind, field=field, synthetic=True)
    grid = square(images.native[0] if field == "logit" else 36)
    together = images.draw([7, 3, 5], grid)
    for one, member in zip(together, (7, 3, 5), strict=True):
        assert torch.equal(images.draw([member], grid)[0], one)


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_draws_nothing(kind: Kind) -> None:
    images = Images(kind, synthetic=True)
    assert images.draw([], square(images.native[0])).shape[0] == 0


# from files


@pytest.mark.parametrize("kind", KINDS)
def test_files_come_through(kind: Kind, folder: Path) -> None:
    """What is drawn from a file of stand-ins is what stand-ins draw."""
    from_file = Images(kind, files=(kind,)).at(str(folder))
    synthetic = Images(kind, synthetic=True)
    assert torch.equal(from_file.draw([3, 0], square(20)), synthetic.draw([3, 0], square(20)))
    assert from_file.channels == synthetic.channels
    assert (from_file.kind, from_file.boundary) == (kind, Images.boundary)
    both = Images(kind, files=(kind, kind)).at(str(folder))
    assert torch.equal(both.draw([7], square(20)), synthetic.draw([3], square(20)))
    with pytest.raises(ValueError, match=f"expected members of 0 to 3 of {kind}, got 0 to 4"):
        from_file.draw([0, 4], square(20))
    with pytest.raises(ValueError, match="expected members of 0 to"):
        from_file.draw([-1], square(20))


def test_checksums_of_files(folder: Path) -> None:
    known = hashlib.sha256((folder / "mnist").read_bytes()).hexdigest()
    good = Images("mnist", files=("mnist",), sha256=(known,))
    assert good.at(str(folder)).pixels([0]).shape == (1, 1, 28, 28)
    with pytest.raises(ValueError, match=r"expected .* to have the sha256"):
        replace(good, sha256=("0" * 64,)).at(str(folder)).pixels([0])


def test_files_of_another_set(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"expected an idx file"):
        Images("mnist", files=("cifar10",)).at(str(folder)).pixels([0])
    (folder / "wide").write_bytes(np.array([2051, 1, 8, 8], ">u4").tobytes() + bytes(64))
    with pytest.raises(ValueError, match=r"expected images \(1, 28, 28\) of mnist, got"):
        Images("mnist", files=("wide",)).at(str(folder)).pixels([0])


def test_a_folder_of_interferograms(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"expected \.int files in .*Google Drive"):
        Images("volcano").at(str(folder)).draw([0], square(120))
    with pytest.raises(FileNotFoundError, match=r"expected \.int files in a folder, got none"):
        Images("volcano").draw([0], square(120))
    write_interferograms(folder, stand_in("volcano", range(3)))
    found = Images("volcano").at(str(folder)).draw([2], square(120))
    assert torch.equal(found, Images("volcano", synthetic=True).draw([2], square(120)))
    with pytest.raises(ValueError, match="expected images of whole pixels"):
        Images("volcano").at(str(folder)).pixels([0])


def test_the_phase_of_nothing_is_0(folder: Path) -> None:
    write_interferograms(folder, np.zeros((1, 1, 128, 128), np.complex64))
    cosine, sine = Images("volcano").at(str(folder)).draw([0], square(120))[0]
    assert torch.equal(cosine, torch.ones(120, 120).double())
    assert torch.equal(sine, torch.zeros(120, 120).double())


def test_crops() -> None:
    whole = torch.from_numpy(stand_in("pcam", [1]))
    pcam = Images("pcam", synthetic=True)
    assert torch.equal(pcam.pixels([1]), whole[..., 32:64, 32:64])
    assert torch.equal(replace(pcam, crop=96).pixels([1]), whole)
    wide = Images("volcano", crop=128, synthetic=True).draw([1], square(128))
    narrow = Images("volcano", synthetic=True).draw([1], square(120))
    assert torch.equal(wide[..., :120, :120], narrow)


def test_where_to_get_what_has_no_url(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"image-net\.org/download-images") as error:
        Images("imagenet32").at(str(folder)).pixels([0])
    assert "Imagenet32_train_npz.zip" in str(error.value)


# what does not go together


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"kind": "svhn"}, "expected a set of images mnist, .* got svhn"),
        ({"field": "phase"}, "expected the field intensity, logit or signed_distance of mnist"),
        ({"kind": "volcano", "field": "logit"}, "expected the field phase of volcano, got logit"),
        ({"kind": "volcano", "split": "test"}, "expected a split of volcano that has images"),
        ({"split": "validation"}, "expected a split of mnist that has images, got validation"),
        ({"gray": True}, "expected gray intensities of coloured images"),
        ({"kind": "pcam", "gray": True, "field": "logit"}, "expected gray intensities"),
        ({"crop": 20}, "expected no crop of mnist, got 20"),
        ({"kind": "pcam", "crop": 97}, "expected a crop of 4 to 96 pixels of pcam, got 97"),
        ({"kind": "pcam", "crop": 0}, "expected a crop of 4 to 96 pixels"),
        ({"files": ("a",), "split": "test"}, "expected the split all"),
        ({"files": ("a",), "synthetic": True}, "no synthetic images with files"),
        ({"files": ("a", "b"), "sha256": ("0",)}, "expected a sha256 for each of 2 files, got 1"),
        ({"sha256": ("0",)}, "expected a sha256 for each of 0 files, got 1"),
    ],
)
def test_what_does_not_go_together(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as refused:
        Images(**wrong)
    assert "\n" not in str(refused.value)


def test_studies_that_cannot_be() -> None:
    """Without a file: none of these is looked for."""
    logit = Images("cifar10", field="logit")
    logit.check(square(32), 60_000)
    for images, grid, members, sentence in (
        (logit, square(64), 1, r"expected the grid \(32, 32\) for logits of cifar10"),
        (logit, square(32), 60_001, "expected at most 60000 members"),
        (Images("mnist", split="test"), square(28), 10_001, "at most 10000 members of mnist"),
        (Images("volcano"), square(120), 4_097, "at most 4096 members"),
        (Images("pcam"), Grid((32,)), 1, "expected a grid of 2 axes"),
        (Images("pcam", crop=33), square(32, "periodic"), 1, "expected an even crop"),
    ):
        with pytest.raises(ValueError, match=sentence):
            images.check(grid, members)
        with pytest.raises(ValueError, match=sentence):
            images.at("nowhere").check(grid, members)
    Images("mnist", files=("a",)).check(square(28), 10**6)  # of how many images is not known yet


def test_counts_of_the_sets() -> None:
    counts = {kind: COLLECTIONS[kind].count("all") for kind in KINDS}
    assert counts == {
        "mnist": 70_000,
        "cifar10": 60_000,
        "pcam": 294_912,
        "imagenet32": 1_331_167,
        "volcano": 4_096,
    }
    for about in COLLECTIONS.values():
        for one in (one for files in about.files.values() for one in files):
            assert one.url is None or one.url.startswith("https://")
            assert (one.url is None) == (one.checksum is None)


@pytest.mark.parametrize("kind", KINDS)
def test_pages_hold_them(kind: Kind) -> None:
    """Plain numbers, strings and tuples, there and back again."""
    adapter = TypeAdapter(Images)
    images = Images(kind, files=("a", "b"))
    plain = adapter.dump_python(images, mode="json")
    assert plain["field"] in COLLECTIONS[kind].fields
    assert adapter.validate_python(plain) == images
    assert adapter.validate_python({"kind": kind}) == Images(kind)
    assert Images(**asdict(images)) == images
    assert hash(images) == hash(replace(images))


# the real ones, where there are some

DATA = os.environ.get(FOLDER)
FIRST = "23ceaef5eb61f0e70d64ac18fdf0f60df3d5971cf30bbadac7b6ebf07f782d2c"
real = pytest.mark.skipif(not DATA, reason=f"no ${FOLDER}")


@real
def test_mnist_is_mnist() -> None:
    images = Images("mnist", split="train")
    assert round(float(images.pixels(range(60_000)).double().mean()), 3) == 33.318
    first = images.pixels([0])
    assert hashlib.sha256(first.numpy().tobytes()).hexdigest() == FIRST
    assert torch.equal(Images("mnist").pixels([60_000]), Images("mnist", split="test").pixels([0]))
    field = Images("mnist", field="signed_distance").draw(range(1000), square(64))
    assert 0.1 < float((field < 0).double().mean()) < 0.2  # a digit's ink


@real
def test_a_subset_of_cifar() -> None:
    images = Images("cifar10", files=("data_batch_1.bin.gz",), field="logit")
    pixels = images.pixels(range(5085))
    assert images.dequantisation is not None
    assert torch.equal(
        images.dequantisation.decode(images.draw([5084], square(32))), pixels[-1:].long()
    )
    with pytest.raises(ValueError, match="expected members of 0 to 5084"):
        images.pixels([5085])
