"""A study computes on a GPU what it computes on the CPU; without one, on one that is pretended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pretended import GPU, Pretence, Pretended
from several import mostly_slow
from torch import Tensor

from pushforward import device, generation, training
from pushforward.archive import WEIGHTS, Archive
from pushforward.curve import FILE as METRICS
from pushforward.generative import Backbone, Sampler, Surrogate, Variation, preset
from pushforward.generative.presets import PRESETS, Architecture, Windows
from pushforward.ranks import joined
from pushforward.simulation import simulate
from pushforward.solvers import GaussianField, Grid, Use
from pushforward.study import Study

SMALL = Backbone(width=8, modes=4, layers=1)
BOX, WALLS = Grid((16, 16)), Grid((16, 16), (1.0, 1.0), "neumann")
PATH = PRESETS["gud"].path
ARCHITECTURES: dict[str, Architecture] = {
    **{name: preset(name) for name in ("gud", "ddo", "multilevel", "vp", "edm", "cld", "learned")},
    **{basis: preset("gud", basis=basis) for basis in ("haar", "pixel", "pca", "cosine")},
    "columns": preset("gud", basis="pixel", path=replace(PATH, windows=Windows("column", 0.5, 4))),
    "channels": preset("gud", path=replace(PATH, windows=Windows("channel", 0.5))),
    "variation": preset(
        "gud", channels="apart", variation=Variation((0.5, 1.5), clean=0.3, drowned=0.2, apart=0.3)
    ),
    "unet": preset("gud", backbone=replace(SMALL, kind="unet", layers=2)),
    "uno": preset("gud", backbone=replace(SMALL, kind="uno", layers=2)),
    "alias-free": preset("gud", backbone=replace(SMALL, alias_free=True)),
}


def woken(name: str) -> tuple[Surrogate, Tensor]:
    """A surrogate whose network says something, and whitened fields."""
    architecture, grid = ARCHITECTURES[name], WALLS if name == "cosine" else BOX
    if architecture.backbone == Backbone():
        architecture = replace(architecture, backbone=SMALL)
    field = GaussianField.matern(3.0, 0.3, cutoff=6)
    u = torch.stack([field.sample(range(48), grid, seed) for seed in (0, 1)], 1)
    surrogate = Surrogate.fit(architecture, u, grid)
    for parameter in surrogate.denoiser.parameters():
        parameter.data += 0.1 * torch.cos(torch.arange(parameter.numel())).view_as(parameter)
    return surrogate, surrogate.basis.analyse(u[:4].float(), grid)


def step(surrogate: Surrogate, x: Tensor) -> list[Tensor]:
    """The losses of a batch, and their gradient."""
    where, count = surrogate.basis.mask.device, len(x)
    t = ((torch.arange(count) + 0.5) / count).to(where)
    variation, log_snr = surrogate.architecture.variation, None
    if variation.varies:
        u = torch.linspace(0.1, 0.9, count * variation.numbers(2)).view(count, -1)
        log_snr = variation(surrogate.levels, t, u.to(where))
    eps = surrogate.basis.noise(0, Use.TRAINING, range(count))
    losses = surrogate.loss(x.to(where), t, eps, log_snr)
    parameters = [p for p in surrogate.denoiser.parameters() if p.requires_grad]
    return [losses.detach(), *torch.autograd.grad(losses.sum(), parameters)]


def uses(surrogate: Surrogate, x: Tensor) -> list[Tensor]:
    """All that is computed with a network."""
    found = step(surrogate, x)
    surrogate.calibrate(4, steps=2)
    found += [surrogate.log_gain, surrogate.sample(range(2), sampler=Sampler(steps=2))]
    return [*found, surrogate.likelihood(x.to(surrogate.basis.mask.device), times=4).total]


@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=pytest.mark.slow if one == "cld" else ()) for one in ARCHITECTURES],
)
def test_nothing_is_left_behind(name: str) -> None:
    surrogate, x = woken(name)
    here = uses(surrogate, x)
    with Pretence():
        there = uses(surrogate.to(GPU), x)
        assert all(type(one) is Pretended for one in there)
        for one, other in zip(here, there, strict=True):
            torch.testing.assert_close(other.cpu(), one, rtol=1e-4, atol=1e-5)


def test_what_is_left_behind_is_found() -> None:
    """The control: a tensor on the CPU stops every use of a surrogate on a GPU."""
    surrogate, x = woken("gud")
    with Pretence():
        surrogate.to(GPU)
        surrogate.objective.mask = surrogate.objective.mask.cpu()
        with pytest.raises(RuntimeError, match="expected all tensors on the same device"):
            step(surrogate, x)
        surrogate.to(GPU)  # binds the loss anew
        step(surrogate, x)
        with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor"):
            surrogate.sample([0], sampler=Sampler(steps=2)).numpy()


class Inline:
    """An executor whose calls are made at once: a mode is of one thread."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __enter__(self) -> Inline:
        return self

    def __exit__(self, *_: object) -> None: ...

    def map(self, function: Callable[..., Any], *rows: Iterable[Any]) -> Iterator[Any]:
        return map(function, *rows)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine with one GPU, which is pretended."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Pretended")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (2**20, 2**20))
    monkeypatch.setattr(Tensor, "pin_memory", lambda self: self)
    monkeypatch.setattr(training, "ThreadPoolExecutor", Inline)
    for room in (training, generation):
        monkeypatch.setattr(room, "exact", lambda _: nullcontext())
    with Pretence():
        yield


def verbs(study: Study, archive: Archive, name: str) -> tuple[dict[str, Tensor], Tensor, list]:
    """Trains and generates: weights, fields, losses."""
    training.train(study.training, archive, device=name)
    generation.generate(study.generation, archive, device=name)
    weights = archive.read_tensors(study.training, WEIGHTS)[0]
    fields = torch.from_numpy(archive.open(study.generation).vorticity.values)
    return weights, fields, [line["loss"] for line in archive.read_lines(study.training, METRICS)]


def alike(one: tuple, other: tuple, tolerance: float = 1e-4) -> None:
    for name, tensor in one[0].items():
        torch.testing.assert_close(tensor, other[0][name], rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(one[1], other[1], rtol=tolerance, atol=tolerance)
    assert one[2] == pytest.approx(other[2], rel=tolerance)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Study, Path], Archive]:
    """Archives with the data of the smoke study."""
    first = Archive(tmp_path_factory.mktemp("data"))
    simulate(Study.load("smoke").simulation, first)

    def make(study: Study, root: Path) -> Archive:
        root.mkdir()
        (root / study.simulation.name).symlink_to(first.folder(study.simulation))
        return Archive(root)

    return make


SHORT = [
    "training.steps=6",
    "training.calibration=4",
    "training.held_out=4",
    "generation.members=8",
]
SHORT += ["evaluation.members=8", "training.checkpoint_every=2", "generation.sampler.steps=2"]
OPTIONS = {
    "resident": ["training.slices=2", "training.snapshots=2"],
    "streamed": ["training.memory=1e-5", "training.levels=[{points: [8, 8], share: 0.5}]"],
}


@pytest.mark.parametrize("options", mostly_slow(OPTIONS, "resident"))
def test_verbs_store_the_same_from_a_gpu(
    options: str, stored: Callable[[Study, Path], Archive], tmp_path: Path, request: Any
) -> None:
    study = Study.load("smoke", [*SHORT, *OPTIONS[options]])
    here = verbs(study, stored(study, tmp_path / "cpu"), "cpu")
    request.getfixturevalue("gpu")
    alike(verbs(study, stored(study, tmp_path / "gpu"), "auto"), here)


def test_a_checkpoint_goes_on_elsewhere_and_says_so(
    stored: Callable[[Study, Path], Archive],
    tmp_path: Path,
    request: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    study = Study.load("smoke", SHORT)
    here = verbs(study, stored(study, tmp_path / "cpu"), "cpu")
    archive, rate = stored(study, tmp_path / "both"), training.learning_rate

    def stop(spec: Any, now: int) -> float:
        if now == 3:
            raise KeyboardInterrupt
        return rate(spec, now)

    with monkeypatch.context() as patch:
        patch.setattr(training, "learning_rate", stop)
        with pytest.raises(KeyboardInterrupt):
            training.train(study.training, archive, device="cpu")
    request.getfixturevalue("gpu")
    with caplog.at_level("INFO"):
        alike(verbs(study, archive, "cuda"), here)
    assert "expected device cpu as before, got cuda (Pretended)" in caplog.text
    assert "goes on at step 2" in caplog.text


def test_devices_have_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert [device.chosen(None, rank).index for rank in range(6)] == [0, 1, 2, 3, 0, 1]
    assert device.chosen("cuda:3", 1) == torch.device("cuda", 3)
    assert device.chosen("cpu", 1) == torch.device("cpu")
    assert [device.sharing(8, name) for name in (None, "cpu", "cuda:1")] == [4, 8, 1]
    with pytest.raises(LookupError, match="expected a GPU number 4 for the device cuda:4, got 4"):
        device.chosen("cuda:4")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.chosen() == torch.device("cpu")
    for name in ("mps", "cuda:", "cuda:x", "1"):
        with pytest.raises(ValueError, match=f"expected a device auto, .*, got {name}; choose"):
            device.chosen(name)


def test_ranks_do_not_share_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    names = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_PORT": "29400"}
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match="a GPU for each of 2 ranks, got cuda:0 for all"):
        joined("cuda:0").__enter__()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("options", OPTIONS)
def test_verbs_on_a_real_gpu(
    options: str, stored: Callable[[Study, Path], Archive], tmp_path: Path
) -> None:
    study = Study.load("smoke", OPTIONS[options])
    here = verbs(study, stored(study, tmp_path / "cpu"), "cpu")
    there = verbs(study, stored(study, tmp_path / "gpu"), "cuda")
    assert there[2] == pytest.approx(here[2], rel=1e-3)
    torch.testing.assert_close(there[1], here[1], rtol=1e-2, atol=1e-2)
    again = verbs(study, stored(study, tmp_path / "again"), "cuda")
    assert all(torch.equal(tensor, there[0][name]) for name, tensor in again[0].items())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_uses_on_a_real_gpu(name: str) -> None:
    surrogate, x = woken(name)
    here = uses(surrogate, x)
    for one, other in zip(here, uses(surrogate.to("cuda:0"), x), strict=True):
        torch.testing.assert_close(other.cpu(), one, rtol=1e-2, atol=1e-2)
    noise = surrogate.basis.noise(3, Use.PRIOR, range(16))
    far = noise.cpu() - surrogate.to("cpu").basis.noise(3, Use.PRIOR, range(16))
    assert float(far.abs().max()) <= 2**-22  # the last bit of a normal
