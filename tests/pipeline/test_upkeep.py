"""An archive is kept in order: it grows, is mended block by block, and is cleared of what is left.

Members of the smallest simulation there is: real fields, a few milliseconds each.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
from pathlib import Path
from typing import Any

import pytest
import zarr.codecs

from pushforward import disk, files, layout
from pushforward.archive import Archive
from pushforward.garbage import UNFINISHED, garbage
from pushforward.generation import generate
from pushforward.generative import Architecture, Backbone, Sampler
from pushforward.ledger import digest_of
from pushforward.repair import repair
from pushforward.simulation import simulate
from pushforward.solvers import GaussianField, Grid, NavierStokes
from pushforward.spec import Generation, Simulation, Training
from pushforward.training import train

OLD = (zarr.codecs.ZstdCodec(level=1), zarr.codecs.Crc32cCodec())  # as archives were until 2026


def simulation(members: int = 10, **changes: Any) -> Simulation:
    values: dict[str, Any] = {
        "equation": NavierStokes(viscosity=1e-2),
        "grid": Grid((8, 8)),
        "forcing": GaussianField.matern(4.0, 0.3, deviation=1.0),
        "times": (0.1,),
        "step": 0.05,
        "members": members,
        "batch": 2,
        "block": 4,
    }
    return Simulation(**values | changes)


def generation(above: Simulation, members: int = 6) -> Generation:
    training = Training(
        simulation=above,
        members=4,
        held_out=2,
        surrogate=Architecture(backbone=Backbone(width=4, modes=2, layers=1)),
        steps=2,
        batch=2,
        calibration=4,
        translations=False,
    )
    return Generation(
        training=training, members=members, sampler=Sampler(steps=2), batch=2, block=2
    )


def shards(archive: Archive, name: str) -> dict[str, str]:
    """Every stored byte of the arrays, as digests by path."""
    folder = archive.folder(name) / "data.zarr"
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def shard(archive: Archive, name: str, variable: str, block: int) -> Path:
    """The one file that a block of a variable lies in."""
    files = (archive.folder(name) / "data.zarr" / variable / "c" / str(block)).rglob("*")
    return next(path for path in files if path.is_file())


def flip(path: Path, place: int) -> None:
    """One flipped bit, in a file of its own (a linked one would change its twin)."""
    values = bytearray(path.read_bytes())
    values[place % len(values)] ^= 1
    path.unlink()
    path.write_bytes(bytes(values))


def solved(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The members that are solved from now on."""
    from pushforward import simulation as room

    seen: list[int] = []
    solve = room._solve

    def counted(spec: Simulation, members: range, archive: Archive) -> Any:
        seen.extend(members)
        return solve(spec, members, archive)

    monkeypatch.setattr(room, "_solve", counted)
    return seen


def test_a_larger_simulation_takes_the_blocks_of_a_smaller_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    archive, fresh = Archive(tmp_path / "grown"), Archive(tmp_path / "fresh")
    simulate(simulation(10), archive)
    simulate(simulation(14), fresh)
    seen = solved(monkeypatch)
    simulate(simulation(14), archive)
    assert seen == [8, 9, 10, 11, 12, 13]  # the smaller one's last block was not a whole one
    name = simulation(14).name
    assert shards(archive, name) == shards(fresh, name)
    assert archive.verify(name) == []


def test_a_smaller_simulation_is_a_part_of_a_larger_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    archive = Archive(tmp_path)
    simulate(simulation(12), archive)
    seen = solved(monkeypatch)
    simulate(simulation(8), archive)
    assert seen == []


def test_only_the_number_of_members_may_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    archive = Archive(tmp_path)
    simulate(simulation(8), archive)
    seen = solved(monkeypatch)
    simulate(simulation(12, seed=1), archive)
    assert len(seen) == 12


def test_a_damaged_block_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    archive = Archive(tmp_path)
    simulate(simulation(8), archive)
    flip(shard(archive, simulation(8).name, "vorticity", 1), 99)
    seen = solved(monkeypatch)
    simulate(simulation(12), archive)
    assert seen == [4, 5, 6, 7, 8, 9, 10, 11]
    assert archive.verify(simulation(12).name) == []


def test_a_block_that_is_encoded_in_another_way_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    archive = Archive(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(layout, "compressors", lambda _: OLD)
        simulate(simulation(8), archive)
    seen = solved(monkeypatch)
    simulate(simulation(12), archive)
    assert len(seen) == 12
    assert archive.verify(simulation(12).name) == []


def test_a_block_that_is_cut_in_another_way_is_not_taken(tmp_path: Path):
    """The last block of one may have the members, and the chunks, of a whole one of the other."""
    field = GaussianField.matern(4.0, 0.3, deviation=1.0)
    cut = {"grid": Grid((64, 64)), "batch": 4, "initial": field, "forcing": None}
    archive = Archive(tmp_path)
    simulate(simulation(8, block=16, **cut), archive)
    larger = simulation(32, block=8, **cut)
    simulate(larger, archive)
    assert archive.verify(larger.name) == []


@pytest.mark.parametrize("damaged", ["time/c/0", "x/zarr.json", "vorticity/zarr.json"])
def test_a_description_in_an_earlier_encoding_is_mended_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: str
):
    archive, fresh, spec = Archive(tmp_path / "old"), Archive(tmp_path / "new"), simulation(8)
    with monkeypatch.context() as patch:
        patch.setattr(layout, "compressors", lambda _: OLD)
        simulate(spec, archive)
    simulate(spec, fresh)
    flip(archive.folder(spec) / "data.zarr" / damaged, 9)
    assert f"data.zarr/{damaged}" in repair(spec.name, archive)
    one, other = (store.open(spec).load() for store in (archive, fresh))
    assert one.drop_attrs().identical(other.drop_attrs())


def test_what_is_written_to_a_taken_block_is_not_written_to_its_twin(tmp_path: Path):
    archive = Archive(tmp_path)
    simulate(simulation(8), archive)
    simulate(simulation(12), archive)
    small, large = simulation(8).name, simulation(12).name
    place = shard(archive, large, "vorticity", 0)
    assert place.stat().st_nlink == 2
    fields = archive.open(large).isel(member=slice(4)).load().drop_attrs(deep=False)
    layout.write(archive.folder(large) / "data.zarr", range(4), fields + 1)
    assert place.stat().st_nlink == 1
    assert archive.verify(large) == ["block 0"]
    assert archive.verify(small) == []


def test_a_larger_ensemble_takes_the_blocks_of_a_smaller_one(tmp_path: Path):
    archive, above = Archive(tmp_path), simulation()
    simulate(above, archive)
    small, large = generation(above, 4), generation(above, 6)
    train(small.training, archive)
    generate(small, archive)
    generate(large, archive)
    one, other = archive.open(small).load(), archive.open(large).load()
    assert other.isel(member=slice(4)).vorticity.equals(one.vorticity)
    assert shard(archive, large.name, "vorticity", 0).stat().st_nlink == 2


@pytest.mark.parametrize("seed", range(6))
def test_a_flipped_bit_anywhere_is_found_and_its_block_made_again(tmp_path: Path, seed: int):
    archive, spec, draw = Archive(tmp_path), simulation(), random.Random(seed)
    simulate(spec, archive)
    before = shards(archive, spec.name)
    variable, block = draw.choice(["forcing", "vorticity"]), draw.randrange(3)
    flip(shard(archive, spec.name, variable, block), draw.randrange(10**9))
    assert archive.verify(spec.name) == [f"block {block}"]
    assert repair(spec.name, archive) == [f"block {block}"]
    assert shards(archive, spec.name) == before
    assert archive.verify(spec.name) == []
    assert repair(spec.name, archive) == []


@pytest.mark.parametrize("seed", range(8))
def test_a_flipped_bit_in_any_file_is_found_and_mended(tmp_path: Path, seed: int):
    archive, spec, draw = Archive(tmp_path), simulation(), random.Random(seed)
    simulate(spec, archive)
    before, folder = shards(archive, spec.name), archive.folder(spec)
    name = draw.choice([name for name in sorted(files.listing(folder)) if "/c/" not in name])
    flip(folder / name, draw.randrange(10**9))
    if name == "spec.json":
        with pytest.raises((OSError, ValueError, LookupError)):
            archive.verify(spec.name) and repair(spec.name, archive)
        return
    assert name in archive.verify(spec.name)
    repair(spec.name, archive)
    assert archive.verify(spec.name) == []
    assert shards(archive, spec.name) == before


@pytest.mark.parametrize("text", ["{", "", None])
def test_a_seal_that_is_damaged_is_found_and_made_again(tmp_path: Path, text: str | None):
    archive, spec = Archive(tmp_path), simulation()
    simulate(spec, archive)
    seal = archive.folder(spec) / "manifest.json"
    whole, before = archive.manifest(spec), shards(archive, spec.name)
    # a number that is still JSON, and an array's description that it would have told of
    seal.write_text(json.dumps(whole | {"seconds": 1e3}) if text is None else text)
    flip(archive.folder(spec) / "data.zarr/vorticity/zarr.json", 40)
    assert "manifest.json" in archive.verify(spec.name)
    repair(spec.name, archive)
    assert archive.verify(spec.name) == []
    assert shards(archive, spec.name) == before
    again = archive.manifest(spec)
    assert again["files"] == whole["files"]
    assert again["blocks"] == whole["blocks"]


def test_a_seal_without_one_of_its_blocks_is_not_intact(tmp_path: Path):
    archive, spec = Archive(tmp_path), simulation()
    simulate(spec, archive)
    seal = archive.manifest(spec)
    seal["blocks"].pop(1)
    del seal["sha256"]
    archive.write_json(spec, "manifest.json", seal | {"sha256": digest_of(seal)})
    assert archive.verify(spec.name) == ["block 1"]
    repair(spec.name, archive)
    assert archive.verify(spec.name) == []
    assert len(archive.manifest(spec)["blocks"]) == 3


def test_a_lost_shard_is_not_read_as_numbers_that_are_none(tmp_path: Path):
    archive, spec = Archive(tmp_path), simulation()
    simulate(spec, archive)
    shard(archive, spec.name, "vorticity", 2).unlink()
    with pytest.raises(OSError, match=r"got none for block 2; run `pushforward verify"):
        archive.open(spec)
    repair(spec.name, archive)
    assert not archive.open(spec).vorticity.isnull().any()


def test_bits_of_another_machine_are_sealed_as_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """A slow machine, whose roundings are others, stores its block when a fast one has sealed."""
    archive, spec = Archive(tmp_path), simulation()
    simulate(spec, archive)
    other = archive.open(spec).isel(member=slice(4, 8)).load().drop_attrs(deep=False) + 1e-7
    with monkeypatch.context() as patch:
        patch.setattr(archive, "done", lambda *_: False)
        archive.write(spec, 1, other)
    assert "stored by another machine meanwhile" in caplog.text
    assert not archive.sealed(spec)
    archive.seal(spec)
    assert archive.verify(spec) == []
    assert archive.open(spec).vorticity[4:8].equals(other.vorticity)


def test_members_in_blocks_of_another_size_are_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    archive = Archive(tmp_path)
    simulate(simulation(8), archive)
    simulate(simulation(16, block=8), archive)
    assert "lie in blocks of 4, not of 8: they are computed again" in caplog.text


def test_a_result_that_a_study_names_is_no_garbage_without_its_spec(tmp_path: Path):
    archive, kept = Archive(tmp_path), simulation()
    simulate(kept, archive)
    (archive.folder(kept) / "spec.json").unlink()
    assert garbage(archive, [kept], age=-1.0) == []
    assert [one.reason for one in garbage(archive, age=-1.0)] == ["holds no spec"]


def test_weights_without_a_seal_that_tells_are_made_again(tmp_path: Path):
    archive, drawn = Archive(tmp_path), generation(simulation())
    simulate(drawn.training.simulation, archive)
    train(drawn.training, archive)
    weights = archive.folder(drawn.training) / "surrogate.safetensors"
    before = weights.read_bytes()
    (archive.folder(drawn.training) / "manifest.json").write_text("{")
    flip(weights, 10**6)
    assert archive.verify(drawn.training) == ["manifest.json"]
    repair(drawn.training.name, archive)
    assert archive.verify(drawn.training) == []
    assert weights.read_bytes() == before


def test_exactly_the_damaged_block_is_solved_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    archive = Archive(tmp_path)
    spec = simulation()
    simulate(spec, archive)
    flip(shard(archive, spec.name, "forcing", 1), 5)
    flip(archive.folder(spec) / "data.zarr/vorticity/zarr.json", 40)
    before = archive.verify(spec.name)
    assert "data.zarr/vorticity/zarr.json" in before
    seen = solved(monkeypatch)
    repair(spec.name, archive)
    assert seen == [4, 5, 6, 7]
    assert archive.verify(spec.name) == []


def test_a_training_and_its_ensemble_are_made_again_to_the_same_bits(tmp_path: Path):
    archive = Archive(tmp_path)
    drawn = generation(simulation())
    simulate(drawn.training.simulation, archive)
    train(drawn.training, archive)
    generate(drawn, archive)
    weights = archive.folder(drawn.training) / "surrogate.safetensors"
    kept, fields = weights.read_bytes(), shards(archive, drawn.name)
    flip(weights, len(kept) - 3)
    flip(shard(archive, drawn.name, "vorticity", 1), 7)
    assert repair(drawn.training.name, archive) == ["surrogate.safetensors"]
    assert repair(drawn.name, archive) == ["block 1"]
    assert weights.read_bytes() == kept
    assert shards(archive, drawn.name) == fields


def test_nothing_is_taken_apart_that_cannot_be_made_again(tmp_path: Path):
    archive = Archive(tmp_path)
    drawn = generation(simulation())
    simulate(drawn.training.simulation, archive)
    train(drawn.training, archive)
    generate(drawn, archive)
    flip(shard(archive, drawn.name, "vorticity", 1), 7)
    disk.discard(archive.folder(drawn.training))
    with pytest.raises(LookupError, match="run train"):
        repair(drawn.name, archive)
    assert archive.sealed(drawn)


def test_a_result_whose_spec_is_another_s_is_not_mended(tmp_path: Path):
    archive = Archive(tmp_path)
    spec = simulation()
    simulate(spec, archive)
    path = archive.folder(spec) / "spec.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 7'))
    with pytest.raises(OSError, match="expected the spec of"):
        repair(spec.name, archive)
    assert archive.sealed(spec)


def age(path: Path, seconds: float) -> None:
    for one in (path, *path.rglob("*")):
        then = one.stat().st_mtime - seconds
        os.utime(one, (then, then))


def test_garbage_is_what_no_writer_and_no_study_has(tmp_path: Path):
    archive = Archive(tmp_path)
    kept, other, begun = simulation(), simulation(seed=1), simulation(seed=2)
    grown = simulation(14)
    for spec in (kept, other, grown):
        simulate(spec, archive)
    archive.create(begun)
    empty = tmp_path / "training-0123456789"
    empty.mkdir()
    stranger = tmp_path / "notes-of-mine"
    stranger.mkdir()
    torn = disk.partial(archive.folder(kept) / "data.zarr" / "u")
    torn.write_bytes(b"torn")
    assert garbage(archive, [kept]) == []  # all of it is young
    age(tmp_path, 3600)
    drawn = generation(kept)
    assert {one.path for one in garbage(archive)} == {torn, empty}
    assert {one.path for one in garbage(archive, [drawn])} == {
        torn, empty, archive.folder(other)
    }  # fmt: skip
    age(tmp_path, UNFINISHED)
    found = garbage(archive, [drawn])
    assert archive.folder(begun) in {one.path for one in found}
    for one in found:
        one.remove()
    assert archive.verify(kept.name) == []
    assert {path.name for path in tmp_path.iterdir()} == {
        kept.name, grown.name, stranger.name
    }  # fmt: skip
    assert garbage(archive, [drawn]) == []
