"""Names and links that somebody else wrote lead nowhere outside of the archive."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pushforward import bounds
from pushforward.archive import Archive
from pushforward.garbage import garbage
from pushforward.growth import adopt
from pushforward.repair import repair
from pushforward.simulation import simulate, template
from pushforward.spec import Generation
from pushforward.study import Study

NAMES = [
    "../simulation-1a2b3c4d5e",
    "simulation-../../etc",
    "simulation-1a2b3c4d5e/../..",
    "/etc/simulation-1a2b3c4d5e",
    "simulation-\0",
    "simulation-1a2b3c4d5e\n",
    "simulation-1a2b\\c",
    "simulation-",
    "..",
    "",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_leads_out_is_no_name(name: str, archive: Archive) -> None:
    assert archive.folder("simulation-1a2b3c4d5e").parent == archive.root
    for action in (archive.folder, archive.open, archive.verify, archive.sealed):
        with pytest.raises(LookupError, match="expected a name like"):
            action(name)
    with pytest.raises(LookupError, match="expected a name like"):
        repair(name, archive)


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/etc/passwd", "../smoke", "../catalogs/../smoke", "smoke\0", "..", ""],
)
def test_a_study_that_is_in_no_catalogue(name: str) -> None:
    assert Study.load("smoke").title == "Smoke"
    with pytest.raises(FileNotFoundError, match="expected a YAML file or a name of the catalogue"):
        Study.load(name)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside the archive, with a file in it that nobody may touch."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").write_text("precious")
    return tmp_path / "outside"


@pytest.mark.parametrize("kind", ["simulation", "training"])
@pytest.mark.parametrize("how", ["relative", "absolute"])
def test_files_that_a_manifest_names_outside(
    kind: str,
    how: str,
    spoilt: Archive,
    outside: Path,
    generation: Generation,
    reseal: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pushforward import disk

    spec = generation.training if kind == "training" else generation.training.simulation
    precious = outside / "precious"
    name = str(precious) if how == "absolute" else "../../outside/precious"
    assert (spoilt.folder(spec) / name).resolve() == precious
    seal = json.loads((spoilt.folder(spec) / "manifest.json").read_text())
    before = disk.digest(precious)
    reseal(spoilt, spec, files=seal["files"] | {name: before})
    hashed: list[Path] = []
    digest = disk.digest
    monkeypatch.setattr(disk, "digest", lambda path: hashed.append(path) or digest(path))
    assert spoilt.verify(spec) == [name]  # also where its checksum is right
    assert repair(spec.name, spoilt) == [name]
    assert precious.read_text() == "precious"
    assert hashed
    assert precious not in {path.resolve() for path in hashed}
    assert spoilt.verify(spec) == []


def test_arrays_that_a_manifest_names_outside(
    spoilt: Archive, generation: Generation, reseal: Callable[..., None], outside: Path
) -> None:
    """A copy of the very array, so that its checksum would be right."""
    simulation = generation.training.simulation
    folder = spoilt.folder(simulation)
    shutil.copytree(folder / "data.zarr" / "vorticity", outside / "u")
    markers = json.loads((folder / "manifest.json").read_text())["blocks"]
    for one in markers:
        one["arrays"]["../../../outside/u"] = one["arrays"]["vorticity"]
    assert (folder / "data.zarr" / "../../../outside/u").resolve() == outside / "u"
    reseal(spoilt, simulation, blocks=markers)
    assert spoilt.verify(simulation) == ["block 0", "block 1"]
    repair(simulation.name, spoilt)
    assert spoilt.verify(simulation) == []
    assert {path.name for path in outside.iterdir()} == {"u", "precious"}


def away(archive: Archive, name: str, part: str, outside: Path) -> Path:
    """Moves a part of a result out of the archive, and leaves a link."""
    path = archive.root / name / part if part else archive.root / name
    shutil.move(path, outside / "moved")
    path.symlink_to(outside / "moved")
    return path


def listing(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("part", ["", "data.zarr", "data.zarr/vorticity/c/0", "blocks"])
def test_a_link_out_of_the_archive_is_not_mended_through(
    part: str, spoilt: Archive, outside: Path, generation: Generation
) -> None:
    simulation = generation.training.simulation
    link = away(spoilt, simulation.name, part, outside)
    seal = spoilt.folder(simulation) / "manifest.json"
    seal.write_text(seal.read_text().replace('"vorticity": "', '"vorticity": "0'))
    before = listing(outside)
    with pytest.raises(OSError, match=r"expected .* to lie in .*, got a link") as refused:
        repair(simulation.name, spoilt)
    assert str(link) in str(refused.value)
    assert listing(outside) == before


def test_a_link_within_the_archive_is_followed(spoilt: Archive, generation: Generation) -> None:
    """Negative control: what stays inside is nobody's business."""
    simulation = generation.training.simulation
    shard = next((spoilt.folder(simulation) / "data.zarr/vorticity/c").rglob("0"))
    assert bounds.stray(spoilt.folder(simulation), spoilt.root) is None
    shard.rename(shard.with_name("moved"))
    shard.symlink_to(shard.with_name("moved"))
    assert bounds.stray(spoilt.folder(simulation), spoilt.root) is None
    assert repair(simulation.name, spoilt) == []


def test_blocks_that_lie_elsewhere_are_not_taken(
    spoilt: Archive, outside: Path, generation: Generation
) -> None:
    simulation = generation.training.simulation
    larger = simulation.model_copy(update={"members": 12})
    spoilt.create(larger, template(larger))
    away(spoilt, simulation.name, "data.zarr", outside)
    assert adopt(larger, spoilt) == 0
    path = spoilt.folder(simulation) / "data.zarr"
    path.unlink()
    shutil.move(outside / "moved", path)
    assert adopt(larger, spoilt) == 2  # negative control
    simulate(larger, spoilt)
    assert spoilt.verify(larger) == []


def test_what_is_cleared_are_links_not_what_they_point_to(
    spoilt: Archive, outside: Path, generation: Generation
) -> None:
    simulation = generation.training.simulation
    away(spoilt, generation.name, "", outside)
    for link in (spoilt.root / "x.partial", spoilt.folder(simulation) / "x.partial"):
        link.symlink_to(outside)
    before = listing(outside)
    found = garbage(spoilt, [simulation], age=-1e6)
    assert {one.path.name for one in found} >= {"x.partial", generation.name}
    for one in found:
        one.remove()
    assert listing(outside) == before
    assert not os.path.lexists(spoilt.root / generation.name)
    assert not os.path.lexists(spoilt.root / "x.partial")
    assert spoilt.sealed(simulation)


def test_remains_that_are_links_are_swept_as_links(
    spoilt: Archive, outside: Path, generation: Generation
) -> None:
    simulation = generation.training.simulation
    (spoilt.folder(simulation) / "manifest.json").unlink()
    (spoilt.folder(simulation) / "x.partial").symlink_to(outside)
    simulate(simulation, spoilt)
    assert spoilt.sealed(simulation)
    assert not os.path.lexists(spoilt.folder(simulation) / "x.partial")
    assert (outside / "precious").read_text() == "precious"
