"""Images: pixels to bits per dimension, against dense Gaussians and laws of known entropy."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal

from pushforward.generative import (
    Backbone,
    Dequantisation,
    GaussianDenoiser,
    Hierarchy,
    Surrogate,
    preset,
)
from pushforward.generative.images import image_bits
from pushforward.solvers import GaussianField, Grid

GRID = Grid((8, 8))
SMALL = Backbone(width=8, modes=4, layers=1)
UNET = Backbone("unet", width=8, layers=2)
FIELD = GaussianField.matern(3.0, 0.3, deviation=0.8)


def images(count: int, grid: Grid = GRID, channels: int = 1, first: int = 0) -> torch.Tensor:
    """Smooth images of 8 bits: channels alike, darker than the middle."""
    members = range(first, first + count * channels)
    u = FIELD.sample(members, grid).unflatten(0, (count, channels)) - 0.5
    u[:, 1:] = 0.8 * u[:, :1] + 0.6 * u[:, 1:]
    return Dequantisation().decode(u).to(torch.uint8)


def uniform(pixels: torch.Tensor, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(pixels.shape, generator=generator, dtype=torch.float64)


def fitted(
    pixels: torch.Tensor, basis: Any, grid: Grid = GRID, scale: Dequantisation | None = None
) -> Surrogate:
    fields, _ = (scale or Dequantisation()).encode(pixels, uniform(pixels))
    return Surrogate.fit(preset("vp", basis=basis, backbone=UNET), fields, grid)


def stirred(surrogate: Surrogate) -> Surrogate:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for parameter in surrogate.denoiser.parameters():
            parameter.data += 0.05 * torch.randn_like(parameter)
    return surrogate


def to_bits(log_p: torch.Tensor, pixels: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """-log2 P per dimension from log p(y), y = logit s, written out for alpha = 0.05, 256 bins."""
    s = 0.05 + 0.9 * (pixels + v) / 256
    log_slope = torch.log(0.9 / 256 / (s * (1 - s))).flatten(1).sum(1)  # d y / d v
    return -(log_p + log_slope) / math.log(2) / pixels[0].numel()


def logit(pixels: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return torch.special.logit(0.05 + 0.9 * (pixels + v) / 256)


def test_an_untrained_surrogate_on_pixels_is_one_normal_law() -> None:
    """Its mean and variance by hand from the fields it was fitted to."""
    pixels, new = images(200), images(50, first=1000)
    surrogate = fitted(pixels, "pixel")
    v = uniform(new, 1)
    bits, gaussian = image_bits(surrogate, new, v, times=8)
    fields = logit(pixels, uniform(pixels))
    mean = fields.mean()  # a stationary law: no point differs by chance
    deviation = (fields - mean).square().mean().sqrt()
    y = logit(new, v)

    def by_hand(deviation: torch.Tensor) -> torch.Tensor:
        return to_bits(Normal(mean, deviation).log_prob(y).flatten(1).sum(1), new, v)

    for found in (bits, gaussian):
        torch.testing.assert_close(found.double(), by_hand(deviation), rtol=0, atol=1e-5)
    wrong = by_hand(math.sqrt(2) * deviation)  # the control: twice the variance
    assert (wrong - bits).abs().mean() > 0.05
    assert wrong.mean() > bits.mean()
    assert 4 < bits.mean() < 8


@pytest.mark.parametrize(
    ("basis", "shape"),
    [("pixel", (8, 8)), ("haar", (8, 8)), ("pca", (8, 8)), ("cosine", (6, 8)), ("pca", (12,))],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_bits_are_those_of_the_dense_gaussian(
    basis: str, shape: tuple[int, ...], channels: int
) -> None:
    """y = m + A x with A from `synthesise` column by column, its determinant by a dense one."""
    grid = Grid(shape)
    surrogate = fitted(images(300, grid, channels), basis, grid)
    new = images(20, grid, channels, first=5000)
    v = uniform(new, 1)
    bits, gaussian = image_bits(surrogate, new, v, times=4)
    kept = surrogate.basis.mask.flatten().nonzero()[:, 0]
    one = torch.zeros(len(kept), surrogate.basis.mask.numel(), dtype=torch.float64)
    one[torch.arange(len(kept)), kept] = 1
    x = one.unflatten(1, surrogate.basis.mask.shape)
    mean = surrogate.basis.synthesise(torch.zeros_like(x[:1]), grid)
    columns = (surrogate.basis.synthesise(x, grid) - mean).flatten(1)
    assert columns.shape == (channels * grid.size,) * 2
    law = MultivariateNormal(mean.flatten(), columns.T @ columns)
    exact = to_bits(law.log_prob(logit(new, v).flatten(1)), new, v)
    for found in (bits, gaussian):
        torch.testing.assert_close(found.double(), exact, rtol=0, atol=2e-4)
    without = exact + 0.5 * math.log2(grid.size)  # the control: values over sqrt(N) forgotten
    assert (without - bits).abs().min() > 1


def test_shuffled_pixels_cost_more_where_the_basis_knows_the_scales() -> None:
    pixels, new = images(300), images(100, first=5000)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    shuffled = new.flatten(2)[..., order].view_as(new)
    v = uniform(new, 1)
    moved = v.flatten(2)[..., order].view_as(v)
    for basis, known in (("pixel", False), ("haar", True), ("pca", True)):
        surrogate = fitted(pixels, basis)
        true, false = (
            image_bits(surrogate, *one, times=4)[0] for one in ((new, v), (shuffled, moved))
        )
        cost = false - true
        if known:
            assert cost.mean() > 4 * cost.std() / 10, basis
        else:
            assert cost.abs().max() < 1e-4, basis


def test_bits_bound_the_entropy_of_a_known_law() -> None:
    """Independent pixels of one law: tight where a Gaussian fits it, but never below."""
    value = torch.arange(256, dtype=torch.float64)
    law = torch.exp(-0.5 * ((value - 90) / 30) ** 2) + 0.002
    law = law / law.sum()
    entropy = -float((law * law.log2()).sum())
    generator = torch.Generator().manual_seed(3)
    pixels, new = (
        torch.multinomial(law, 300 * 64, replacement=True, generator=generator).view(300, 1, 8, 8)
        for _ in range(2)
    )
    surrogate = fitted(pixels, "pixel")
    bits, gaussian = image_bits(surrogate, new, uniform(new, 1), times=4)
    ideal = -law[new].log2().flatten(1).mean(1)
    over = bits - ideal  # paired, and the mean of ideal is the entropy
    assert abs(float(ideal.mean()) - entropy) < 4 * float(ideal.std()) / math.sqrt(300)
    assert over.mean() > 4 * over.std() / math.sqrt(300)
    assert over.mean() < 0.4
    other = (new + 60).clamp_max(255)  # the control: images of another law cost more
    assert image_bits(surrogate, other, uniform(new, 1), times=4)[0].mean() > entropy + 1
    worse, same = image_bits(stirred(surrogate), new, uniform(new, 1), times=8)
    torch.testing.assert_close(same, gaussian, rtol=0, atol=1e-6)
    loss = worse - gaussian
    assert loss.mean() > 4 * loss.std() / math.sqrt(300)


@pytest.mark.parametrize("method", ["bound", "flow"])
def test_both_methods_score_the_denoiser(method: Literal["bound", "flow"]) -> None:
    """A denoiser of variance 1/2 in whitened coefficients: a normal law of half the variance."""
    pixels = images(100)
    surrogate = fitted(pixels, "pixel")
    v = uniform(pixels, 2)
    plain = image_bits(surrogate, pixels, v, method=method, times=8)
    torch.testing.assert_close(*plain, rtol=0, atol=1e-5)
    surrogate.denoiser = GaussianDenoiser(0.5)
    bits, gaussian = image_bits(surrogate, pixels, v, method=method, times=64)
    y = logit(pixels, v)
    mean = surrogate.basis.synthesise(torch.zeros(1, 1, 64, dtype=torch.float64), GRID)
    law = Normal(mean, math.sqrt(0.5) * float(surrogate.basis.scale))
    exact = to_bits(law.log_prob(y).flatten(1).sum(1), pixels, v)
    assert abs(float((bits - exact).mean())) < 4 * float((bits - exact).std()) / 10 + 2e-3
    assert (bits - gaussian).abs().mean() > 0.1


@pytest.mark.parametrize("method", ["bound", "flow"])
def test_a_network_is_scored_by_both_methods(method: Literal["bound", "flow"]) -> None:
    pixels = images(40, channels=3)
    surrogate = stirred(fitted(pixels, "pixel"))
    first, again, other = (
        image_bits(surrogate, pixels[:8], uniform(pixels)[:8], method=method, times=8, seed=seed)
        for seed in (0, 0, 1)
    )
    assert torch.equal(first[0], again[0])
    assert torch.isfinite(first[0]).all()
    assert (first[0] - first[1]).abs().min() > 1e-4
    assert not torch.equal(first[0], other[0])
    assert torch.equal(first[1], other[1])


@pytest.mark.parametrize("method", ["bound", "flow"])
def test_images_are_scored_along_the_path_of_a_strength(
    method: Literal["bound", "flow"],
) -> None:
    pixels = images(40)
    scale, wide = Dequantisation(), preset("gud", basis="haar", backbone=SMALL)
    surrogate = stirred(Surrogate.fit(wide, scale.encode(pixels, uniform(pixels))[0], GRID))

    def bits(strength: float = 1.0) -> torch.Tensor:
        few, v = pixels[:4], uniform(pixels)[:4]
        return image_bits(surrogate, few, v, method=method, times=8, strength=strength)[0]

    plain = image_bits(surrogate, pixels[:4], uniform(pixels)[:4], method=method, times=8)[0]
    own, half = bits(), bits(0.5)
    assert torch.equal(own, plain)
    assert (half - own).abs().min() > 1e-5
    path = replace(wide.path, hierarchy=Hierarchy(variance=0.5))
    surrogate.levels = path.on(surrogate.basis.modes)
    assert torch.equal(bits(), half)


def test_other_bins_are_those_of_the_dequantisation() -> None:
    """Half the bins cost a bit less, when the images are as smooth as that."""
    pixels, scale = images(200), Dequantisation(bins=128)
    v = uniform(pixels)
    fine, _ = image_bits(fitted(pixels, "pixel"), pixels, v, times=4)
    half = pixels.long() // 2
    coarse, _ = image_bits(
        fitted(half, "pixel", scale=scale), half, v, dequantisation=scale, times=4
    )
    assert abs(float((fine - coarse).mean()) - 1) < 0.02


def test_what_has_no_density_is_refused() -> None:
    pixels = images(30)
    v = uniform(pixels)
    surrogate = fitted(pixels, "pixel")
    with pytest.raises(ValueError, match="keeps all 64 values"):
        image_bits(fitted(pixels, "fourier"), pixels, v)  # highest waves of even grids dropped
    for other in (images(3, Grid((4, 4))), images(3, channels=3), images(3, Grid((4, 16)))):
        with pytest.raises(ValueError, match="fit one to images of this shape"):
            image_bits(surrogate, other, uniform(other))
    for times in (0, 6):
        with pytest.raises(ValueError, match="multiple of 4"):
            image_bits(surrogate, pixels, v, times=times, method="flow")
    with pytest.raises(ValueError, match="whole pixels"):
        image_bits(surrogate, pixels + 0.5, v)
