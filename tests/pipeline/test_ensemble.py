"""A virtual ensemble: what is drawn when; a member is the same however it is asked for."""

from __future__ import annotations

import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import dask.config
import numpy as np
import pytest
import torch
import xarray as xr

from pushforward import ensemble
from pushforward.archive import Archive
from pushforward.ensemble import MEMORY, VirtualEnsemble
from pushforward.generation import generate, template
from pushforward.solvers import GrayScott, Grid, Use
from pushforward.spec import Generation
from pushforward.study import Study

from .conftest import evaluation_of

MILLION = 1_000_000
CLOSE = 1e-5  # of a member's spread
DIMS = ("member", "time", "y", "x")
Trained = tuple[Study, Archive]


def virtual(trained: Trained, **changes: Any) -> VirtualEnsemble:
    study, archive = trained
    values = {**dict(study.generation), "members": MILLION, **changes}
    return VirtualEnsemble(Generation(**values), archive.root)


def apart(one: Any, other: Any) -> float:
    """The largest difference, in the spread of the second."""
    return float(np.abs(np.asarray(one) - np.asarray(other)).max() / np.asarray(other).std())


def direct(trained: Trained, members: list[int], grid: Grid | None = None, **options: Any) -> Any:
    """What the surrogate gives by itself."""
    study, archive = trained
    generation = study.generation
    return archive.surrogate(study.training).sample(
        members, grid, seed=generation.seed, sampler=generation.sampler, **options
    )


def test_opening_reads_no_weights_and_draws_nothing(
    trained: Trained, draws: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Archive, "surrogate", None)
    dataset = virtual(trained).dataset()
    assert dataset.vorticity.shape == (MILLION, 1, 16, 16)
    assert "..." in repr(dataset)
    assert dataset.sel(member=slice(10, MILLION)).sizes["member"] == MILLION - 10
    assert draws == []


INDICES = {
    "one": ({"member": 7}, [7]),
    "the last": ({"member": -1}, [MILLION - 1]),
    "the first ten": ({"member": slice(0, 10)}, [*range(10)]),
    "steps": ({"member": slice(None, None, 400_000)}, [0, 400_000, 800_000]),
    "backwards": ({"member": slice(9, 0, -4)}, [1, 5, 9]),
    "a list": ({"member": [999_999, 3, 3]}, [3, 999_999]),
    "from the end": ({"member": [-2, 1]}, [1, MILLION - 2]),
    "a point": ({"member": 4, "time": 0, "y": -1, "x": slice(2, 9, 3)}, [4]),
    "points": ({"member": slice(2, 4), "y": [1, 0], "x": [3, 3]}, [2, 3]),
}


@pytest.mark.parametrize("name", INDICES)
def test_an_index_draws_the_members_it_names(
    trained: Trained, draws: list[list[int]], name: str
) -> None:
    index, members = INDICES[name]
    chosen = virtual(trained).dataset().vorticity.isel(index)
    assert draws == []
    values = chosen.values
    assert [sorted(call) for call in draws] == [members]
    # what is taken of the members that the surrogate draws by itself
    whole = xr.DataArray(direct(trained, members).numpy(), {"member": members}, DIMS)
    rest = {dim: key for dim, key in index.items() if dim != "member"}
    expected = whole.sel(member=chosen.member.variable).isel(rest)
    assert values.shape == expected.shape
    assert apart(values, expected) < CLOSE


def test_labels_and_masks_name_members_too(trained: Trained, draws: list[list[int]]) -> None:
    vorticity = virtual(trained).dataset().vorticity
    one = vorticity.sel(member=[3, 999_999]).load()
    assert one.member.values.tolist() == [3, 999_999]
    few = virtual(trained, members=20).dataset().vorticity
    even = few.isel(member=(few.member % 8 == 3).values).load()
    assert even.member.values.tolist() == [3, 11, 19]
    assert draws == [[3, 999_999], [3, 11, 19]]
    assert apart(even[0], one[0]) < CLOSE
    with pytest.raises(KeyError):
        vorticity.sel(member=MILLION)
    with pytest.raises(IndexError):
        vorticity.isel(member=MILLION).load()
    assert few.isel(member=[]).load().shape == (0, 1, 16, 16)


def test_what_is_read_may_be_written_to(trained: Trained, draws: list[list[int]]) -> None:
    vorticity = virtual(trained).dataset().vorticity
    first = vorticity.isel(member=2).values
    kept = first.copy()
    first *= 0
    np.testing.assert_array_equal(vorticity.isel(member=2).values, kept)
    assert draws == [[2]]


def test_arithmetic_and_groups_touch_the_members_that_are_there(
    trained: Trained, draws: list[list[int]]
) -> None:
    few = virtual(trained).dataset().isel(member=slice(4, 8))
    energy = (few.vorticity**2).mean(("x", "y")).groupby(few.member % 2).mean()
    assert energy.sizes["member"] == 2
    assert draws == [[4, 5, 6, 7]]


class Numbers:
    """A surrogate whose values say where they come from: 100 member + 10 channel."""

    def __init__(self, channels: int) -> None:
        self.channels, self.calls = channels, []

    def sample(self, members: list[int], grid: Grid, **options: Any) -> torch.Tensor:
        self.calls.append(members)
        values = torch.tensor(members)[:, None] * 100 + torch.arange(self.channels) * 10
        return values[..., None, None].expand(-1, -1, *grid.shape).float()


@pytest.fixture
def numbers(monkeypatch: pytest.MonkeyPatch) -> Numbers:
    numbers = Numbers(4)
    monkeypatch.setattr(ensemble, "_loaded", lambda *_: numbers)
    MEMORY.clear()
    return numbers


def two_channels(root: Path, **changes: Any) -> xr.Dataset:
    generation = evaluation_of(GrayScott(), frames=(0, -1), grid=Grid((64, 64))).generation
    values = {**dict(generation), "members": 2048, "batch": 32, "block": 32, **changes}
    return VirtualEnsemble(Generation(**values), root).dataset()


def test_variables_and_times_share_a_draw(tmp_path: Path, numbers: Numbers) -> None:
    one = two_channels(tmp_path).isel(member=[6, 9], y=0, x=0)
    assert one.u.isel(time=0).values.tolist() == [600, 900]
    assert one.v.isel(time=1).values.tolist() == [630, 930]
    assert one.u.isel(time=1, member=0).values == 620  # another request, of one member
    assert numbers.calls == [[6, 9], [6]]


def test_dask_draws_block_by_block_and_holds_few(
    tmp_path: Path, numbers: Numbers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MEMORY, "limit", 2**22)
    dataset = two_channels(tmp_path)
    total = dataset.u.nbytes
    chunked = dataset.u.chunk(dataset.u.encoding["preferred_chunks"])
    assert set(chunked.chunks[0]) == {32}  # type: ignore[index]

    def peak(array: xr.DataArray) -> int:
        tracemalloc.start()
        with dask.config.set(scheduler="threads", num_workers=2):
            mean = array.mean("member").values
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        np.testing.assert_allclose(mean[:, 0, 0], 100 * 2047 / 2 + np.array([0, 20]), rtol=1e-4)
        return found

    assert peak(chunked) < total / 2
    assert sorted(numbers.calls) == [[*range(n, n + 32)] for n in range(0, 2048, 32)]
    assert peak(dataset.u) > total  # negative control: without chunks all are held


def test_dask_fuses_an_index_into_its_task(trained: Trained, draws: list[list[int]]) -> None:
    chunked = virtual(trained).dataset().vorticity.chunk(member=64)
    chunked.isel(member=777).compute()
    assert draws == [[777]]


def member_seven(trained: Trained, block: int, **options: Any) -> np.ndarray:
    """It, from blocks that are drawn whole: summed over them with weights, not picked."""
    MEMORY.clear()
    some = virtual(trained, members=16, block=block, batch=block).dataset().vorticity
    chunked = some.chunk(some.encoding["preferred_chunks"])
    with dask.config.set(**options):
        return chunked.where(chunked.member == 7, 0).sum("member").values


@pytest.mark.parametrize("block", [1, 2, 8])
@pytest.mark.parametrize("workers", [1, 4])
def test_a_member_is_the_same_in_any_block_and_by_any_workers(
    trained: Trained, draws: list[list[int]], block: int, workers: int
) -> None:
    found = member_seven(trained, block, scheduler="threads", num_workers=workers)
    assert max(map(len, draws)) == block
    assert apart(found, direct(trained, [7])[0]) < CLOSE
    assert apart(found, direct(trained, [8])[0]) > 1  # negative control


def test_other_processes_draw_the_same(trained: Trained) -> None:
    found = member_seven(trained, 8, scheduler="processes", num_workers=2)
    here = member_seven(trained, 8, scheduler="threads", num_workers=2)
    np.testing.assert_array_equal(found, here)


def test_it_is_small_and_travels(trained: Trained) -> None:
    dataset = virtual(trained).dataset()
    data = pickle.dumps(dataset)
    assert len(data) < 20_000
    other = pickle.loads(data).vorticity.isel(member=5)
    np.testing.assert_array_equal(other, dataset.vorticity.isel(member=5))


@pytest.mark.parametrize("extend", [False, True])
def test_a_member_is_the_same_function_on_every_grid(trained: Trained, extend: bool) -> None:
    coarse, fine = Grid((16, 16)), Grid((32, 32))
    on = {grid: virtual(trained, grid=grid, extend=extend).dataset() for grid in (coarse, fine)}
    u = {g: torch.tensor(one.vorticity.isel(member=[3, 11]).values) for g, one in on.items()}
    shared = [fine.resample(u[fine], coarse), u[coarse]]
    modes = [coarse.fft(one)[..., :6, :6] for one in shared]  # those that the solver keeps
    assert float((modes[0] - modes[1]).abs().max() / modes[1].abs().square().mean().sqrt()) < CLOSE
    finer = u[fine] - coarse.resample(u[coarse], fine)
    assert bool(finer.std() > 1e-4 * u[fine].std()) == extend  # the control: there is more on it


def test_the_noise_of_a_wave_is_the_same_on_every_grid(trained: Trained) -> None:
    study, archive = trained
    basis = archive.surrogate(study.training).basis
    finer = basis.extend(Grid((32, 32)))
    one, other = (b.noise(1, Use.PRIOR, [7]) for b in (basis, finer))
    assert other.shape[-1] > one.shape[-1]
    assert torch.equal(one, other[..., : one.shape[-1]] * basis.mask)
    assert not torch.equal(one, basis.noise(1, Use.PRIOR, [8]))


def test_it_is_what_generate_stores(trained: Trained, archive: Archive) -> None:
    """Coordinates and attributes to the letter, and members of the same batch to the bit."""
    study, there = trained
    generation = study.generation
    (archive.root / study.training.name).parent.mkdir()
    (archive.root / study.training.name).symlink_to(there.folder(study.training))
    generate(generation, archive)
    stored = archive.open(generation).load()
    drawn = VirtualEnsemble(generation, archive.root).dataset()
    assert drawn.attrs == stored.attrs
    xr.testing.assert_identical(drawn.isel(member=slice(0, 8)), stored.isel(member=slice(0, 8)))
    xr.testing.assert_allclose(drawn.load(), stored, rtol=CLOSE, atol=CLOSE)
    xr.testing.assert_identical(
        drawn.coords.to_dataset(), template(generation).coords.to_dataset()
    )


def test_a_training_that_is_gone_is_one_sentence(trained: Trained, tmp_path: Path) -> None:
    study, _ = trained
    dataset = VirtualEnsemble(study.generation, tmp_path).dataset()
    with pytest.raises(LookupError, match=rf"{study.training.name} is not in .*; run train"):
        dataset.vorticity.isel(member=0).load()


def test_weights_are_read_once(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    read, plain = [], Archive.surrogate
    monkeypatch.setattr(Archive, "surrogate", lambda *given: read.append(1) or plain(*given))
    ensemble._loaded.cache_clear()
    for member in range(3):
        virtual(trained).dataset().vorticity.isel(member=member).load()
    assert len(read) == 1
