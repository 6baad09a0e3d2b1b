"""Few bits at points, all of them in transforms: the loss stays close, the island whole."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pushforward.generative import Backbone, Surrogate, band, fno, partial_dft, preset
from pushforward.generative.precision import Precision, lowered
from pushforward.solvers import GaussianField, Grid, Use
from pushforward.solvers.grid import Boundary

SMALL = Backbone(width=16, modes=5, layers=2)
BACKBONES = {
    "fno": SMALL,
    "alias-free": replace(SMALL, alias_free=True),
    "uno": replace(SMALL, kind="uno"),
    "unet": replace(SMALL, kind="unet"),
}
COARSE = 2**-8  # the relative error of one rounding to bfloat16


def woken(name: str, boundary: Boundary = "periodic") -> tuple[Surrogate, Tensor]:
    grid = Grid((16, 16), (1.0, 1.0), boundary)
    u = GaussianField.matern(3.0, 0.2, cutoff=6).sample(range(48), grid)[:, None]
    basis = "fourier" if boundary == "periodic" else "cosine"
    surrogate = Surrogate.fit(preset("gud", basis=basis, backbone=BACKBONES[name]), u, grid)
    for parameter in surrogate.denoiser.parameters():
        parameter.data += 0.05 * torch.cos(torch.arange(parameter.numel())).view_as(parameter)
    return surrogate, surrogate.basis.analyse(u[:8].float(), grid)


def step(surrogate: Surrogate, x: Tensor, precision: Precision) -> tuple[Tensor, Tensor]:
    """The mean loss of a batch and its gradient."""
    t = (torch.arange(len(x)) + 0.5) / len(x)
    with lowered(precision):
        loss = surrogate.loss(x, t, surrogate.basis.noise(0, Use.TRAINING, range(len(x)))).mean()
    parameters = [p for p in surrogate.denoiser.parameters() if p.requires_grad]
    found = torch.autograd.grad(loss, parameters)
    assert {one.dtype for one in (loss, *found)} == {torch.float32}
    return loss.detach(), torch.cat([one.flatten() for one in found])


@pytest.mark.parametrize("boundary", ["periodic", "neumann"])
@pytest.mark.parametrize("name", BACKBONES)
def test_loss_and_gradient_stay_close(name: str, boundary: Boundary) -> None:
    surrogate, x = woken(name, boundary)
    whole, few = step(surrogate, x, "float32"), step(surrogate, x, "bfloat16")
    assert float((few[0] - whole[0]).abs()) < COARSE * float(whole[0])
    error = float((few[1] - whole[1]).norm() / whole[1].norm())
    assert 2**-14 < error < 8 * COARSE  # and few bits they are
    again = step(surrogate, x, "bfloat16")
    assert torch.equal(few[1], again[1])


def test_transforms_see_all_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The types that enter the convolution and the resampling; around them they are others."""
    seen: dict[str, set[torch.dtype]] = {}

    def watch(room: object, name: str) -> None:
        plain = getattr(room, name)

        def watched(*given: Tensor) -> Tensor:
            types = {x.dtype for x in given if isinstance(x, Tensor)}
            out = plain(*given)
            seen.setdefault(name, set()).update(types | {out.dtype})
            return out

        monkeypatch.setattr(room, name, watched)

    watch(partial_dft, "others")
    watch(partial_dft, "others_back")
    watch(band, "along")
    watch(fno.functional, "linear")
    surrogate, x = woken("alias-free")
    step(surrogate, x, "bfloat16")
    assert seen.pop("linear") == {torch.bfloat16, torch.float32}  # few bits in, parameters whole
    assert seen == {key: {torch.float32} for key in ("others", "others_back", "along")}


def test_an_island_is_needed() -> None:
    """The control: a transform of few bits loses the small scales of a steep spectrum."""
    n, modes = 32, 12
    waves = 10.0 ** -torch.arange(modes + 1.0)
    x = torch.arange(n) / n
    field = (waves[:, None] * torch.cos(2 * torch.pi * torch.arange(modes + 1)[:, None] * x)).sum(
        0
    )

    def error(dtype: torch.dtype) -> float:
        into = partial_dft.half(n, modes, torch.float32, torch.device("cpu")).to(dtype)
        found = (into @ field.to(dtype)).float()[0::2]
        return float((found[5] / found.new_tensor(0.5e-5) - 1).abs())

    assert error(torch.float32) < 0.05
    assert error(torch.bfloat16) > 1
