"""Resolution of whole surrogates: one network, the same functions on 32, 64 and 128 points.

A fixed random network knows nothing of the data: its errors are large, so what a preset asks of it
shows. Functions and noise are the same on every grid, wave by wave, and so must loss, bound and
samples be, to float32. With white noise a time shows other scales on other grids: the control.
"""

from __future__ import annotations

from functools import lru_cache

import pytest
import torch

from pushforward.generative import Backbone, Sampler, Surrogate, preset
from pushforward.generative.presets import Preset
from pushforward.solvers import GaussianField, Grid, Use

SIZES = (32, 64, 128)
FUNCTION_SPACE: tuple[Preset, ...] = ("gud", "ddo", "multilevel")
WHITE: tuple[Preset, ...] = ("vp", "edm")
BAND = 8
MEMBERS = 48
TOLERANCE = 1e-4  # of the spread: float32 through networks and steps
SEEN = 500 * TOLERANCE  # what no round-off explains


@lru_cache
def functions() -> torch.Tensor:
    """Exponentials of Gaussian fields, cut at |k_i| <= BAND, on the finest grid."""
    grid = Grid((SIZES[-1],) * 2)
    z = GaussianField.matern(3.0, 0.4, deviation=0.7, cutoff=6).sample(range(MEMBERS), grid)
    low = (torch.stack(torch.broadcast_tensors(*grid.integers())).abs() <= BAND).all(0)
    return grid.ifft(grid.fft(torch.exp(z)) * low)[:, None]


def given(n: int) -> torch.Tensor:
    every = SIZES[-1] // n
    return functions()[..., ::every, ::every]


@lru_cache
def surrogates(name: Preset) -> list[Surrogate]:
    """One per grid, each with the network of the first."""
    page = preset(name, backbone=Backbone(width=8, modes=6, layers=2))
    found = [Surrogate.fit(page, given(n), Grid((n, n)), seed=n) for n in SIZES]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for parameter in found[0].denoiser.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    for other in found[1:]:
        other.adopt(found[0])
    return found


def whitened(one: Surrogate) -> torch.Tensor:
    return one.basis.analyse(given(one.grid.shape[0]), one.grid).float()


@torch.no_grad()
def loss(one: Surrogate) -> torch.Tensor:
    t = (torch.arange(MEMBERS) + 0.5) / MEMBERS
    return one.loss(whitened(one), t, one.basis.noise(0, Use.VALIDATION, range(MEMBERS)))


def bound(one: Surrogate) -> torch.Tensor:
    """Nats per dimension in data units."""
    return one.likelihood(whitened(one), times=16).per_dimension(one.basis.log_det)


def samples(one: Surrogate) -> torch.Tensor:
    """Members of the ensemble, seen on the coarsest grid."""
    every = one.grid.shape[0] // SIZES[0]
    return one.sample(range(8), sampler=Sampler(steps=8))[..., ::every, ::every]


MEASURES = {"loss": loss, "bound": bound, "samples": samples}


def apart(name: Preset, measure: str) -> list[float]:
    """How far the two finer grids are from the coarsest, in its spread over members or points."""
    first, *others = (MEASURES[measure](one) for one in surrogates(name))
    return [float((other - first).abs().max() / first.std()) for other in others]


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("name", FUNCTION_SPACE)
def test_function_space_does_not_see_the_grid(name: Preset, measure: str) -> None:
    assert max(apart(name, measure)) < TOLERANCE, apart(name, measure)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("name", WHITE)
def test_white_noise_does(name: Preset, measure: str) -> None:
    """The negative control: beyond the tolerance by far, and more so on the finer grid."""
    near, far = apart(name, measure)
    assert far > near > SEEN, (near, far)


@pytest.mark.parametrize("name", FUNCTION_SPACE)
def test_the_network_has_a_say(name: Preset) -> None:
    """Else Gaussian surrogates would be compared, which agree whatever the path."""
    one = surrogates(name)[0]
    plain = one.gaussian()
    for measure in MEASURES.values():
        ours, theirs = measure(one), measure(plain)
        assert (ours - theirs).abs().max() > SEEN * ours.std(), measure
