"""Members that are stored when they are drawn: an ordinary generation, block by block."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from pushforward.archive import Archive
from pushforward.backend import PushforwardBackend
from pushforward.ensemble import MEMORY
from pushforward.generation import generate
from pushforward.solvers import Grid
from pushforward.spec import Generation
from pushforward.study import Study

Trained = tuple[Study, Archive]


@pytest.fixture
def study(trained: Trained) -> Study:
    return trained[0]


@pytest.fixture
def roots(trained: Trained, tmp_path: Path) -> list[Archive]:
    """Two archives of one's own with the training in them."""
    for name in ("one", "two"):
        shutil.copytree(trained[1].root, tmp_path / name)
    return [Archive(tmp_path / "one"), Archive(tmp_path / "two")]


def opened(study: Study, archive: Archive, **options) -> xr.Dataset:
    path, asked = archive.folder(study.training), {"members": 40, "sampler": {"steps": 4}}
    asked |= {"block": 8, "batch": 4, "grid": (32, 32), "keep": True}
    return xr.open_dataset(path, engine=PushforwardBackend, **{**asked, **options})


def generation(study: Study, **changes) -> Generation:
    values = {**dict(study.generation), "members": 40, "block": 8, "batch": 4}
    return Generation(**{**values, "grid": Grid((32, 32)), **changes})


def test_a_member_is_drawn_and_stored_with_its_block(
    study: Study, roots: list[Archive], draws: list[list[int]]
) -> None:
    archive, spec = roots[0], generation(study)
    dataset = opened(study, archive)
    assert dataset.attrs["id"] == spec.name
    assert not archive.folder(spec).exists()  # opening stores nothing
    first = dataset.vorticity.isel(member=13, y=slice(3, 9)).values
    assert draws == [[8, 9, 10, 11], [12, 13, 14, 15]]
    assert archive.missing(spec) == [0, 2, 3, 4]
    assert not archive.sealed(spec)
    MEMORY.clear()
    again = opened(study, archive).vorticity.isel(member=slice(8, 16), x=[0, 5])
    assert again.shape == (8, 1, 32, 2)
    np.testing.assert_array_equal(again[5, :, 3:9], first[..., [0, 5]])
    assert len(draws) == 2
    plain = opened(study, archive, keep=False).vorticity.isel(member=13, y=slice(3, 9)).values
    assert draws[2:] == [[13]]
    np.testing.assert_allclose(plain, first, atol=1e-5 * first.std())
    assert not (plain == 0).any()


def test_generate_completes_it_to_the_bits_of_its_own(
    study: Study, roots: list[Archive], draws: list[list[int]]
) -> None:
    kept, plain = roots
    spec = generation(study)
    chunked = opened(study, kept, chunks={}).vorticity
    assert chunked.chunks is not None
    assert chunked.chunks[0] == (8, 8, 8, 8, 8)
    chunked.isel(member=slice(4, 20)).mean("member").compute()
    assert kept.missing(spec) == [3, 4]
    for archive in roots:
        assert generate(spec, archive) == spec.name
    assert len(draws) == 2 * 10
    xr.testing.assert_identical(kept.open(spec).load(), plain.open(spec).load())
    assert kept.verify(spec) == []
    sealed = opened(study, kept)
    xr.testing.assert_identical(sealed.load(), plain.open(spec).load())
    assert len(draws) == 2 * 10


def test_blocks_of_a_smaller_ensemble_are_taken(
    study: Study, roots: list[Archive], draws: list[list[int]]
) -> None:
    archive = roots[0]
    generate(generation(study, members=16), archive)
    count = len(draws)
    many = opened(study, archive, members=1_000_000)
    stored = archive.open(generation(study, members=16)).vorticity
    np.testing.assert_array_equal(many.vorticity.isel(member=slice(2, 16)), stored[2:])
    assert len(draws) == count
    many.vorticity.isel(member=-1).load()
    assert draws[count:] == [[*range(999_992, 999_996)], [*range(999_996, 1_000_000)]]


def test_threads_that_want_one_block_draw_it_once(
    study: Study, roots: list[Archive], draws: list[list[int]]
) -> None:
    vorticity = opened(study, roots[0]).vorticity
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: vorticity.isel(member=n).values, [0, 3, 5, 7]))
    assert sorted(draws) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert np.isfinite(found).all()


def test_blocks_lie_as_they_were_begun(study: Study, roots: list[Archive]) -> None:
    """The size of a block is layout: who opens it with another one gets that of the disk."""
    archive = roots[0]
    opened(study, archive).vorticity.isel(member=0).load()
    other = opened(study, archive, block=12)
    assert other.vorticity.encoding["preferred_chunks"]["member"] == 8
    other.vorticity.isel(member=9).load()
    assert archive.missing(generation(study)) == [2, 3, 4]


def test_an_archive_that_cannot_be_written_to_is_one_sentence(
    study: Study, roots: list[Archive]
) -> None:
    archive = roots[0]
    dataset = opened(study, archive)
    archive.folder(generation(study)).write_text("a file where its folder is to be")
    with pytest.raises(OSError, match="expected an archive to keep members in, got ") as caught:
        dataset.vorticity.isel(member=0).load()
    assert str(caught.value).endswith("leave keep out, and they are drawn without being stored")
    assert np.isfinite(opened(study, archive, keep=False).vorticity.isel(member=0)).all()
