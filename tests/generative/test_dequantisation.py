"""Dequantisation: there and back, the slope by autograd, bits of laws whose entropy is known."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.generative.dequantisation import Dequantisation


def uniforms(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("bins", [2, 32, 256])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.3])
def test_every_pixel_comes_back(bins: int, alpha: float) -> None:
    scale = Dequantisation(bins, alpha)
    pixels = torch.arange(bins).expand(5, 1, bins)
    fields, _ = scale.encode(pixels, uniforms(5, 1, bins))
    assert torch.equal(scale.decode(fields), pixels)
    single, _ = scale.encode(pixels, torch.full((5, 1, bins), 0.5))
    assert torch.equal(scale.decode(single), pixels)
    assert scale.decode(torch.tensor([[[-30.0, 30.0]]])).tolist() == [[[0, bins - 1]]]


def test_values_and_slope() -> None:
    """y = logit(alpha + (1 - 2 alpha) (p + v) / bins), and its derivative by autograd."""
    scale = Dequantisation()
    pixels = torch.tensor([[[0, 3, 128, 255]]])
    v = uniforms(1, 1, 4).requires_grad_()
    fields, log_det = scale.encode(pixels, v)
    u = (pixels + v.detach()) / 256
    s = 0.05 + 0.9 * u
    torch.testing.assert_close(fields.detach(), torch.log(s / (1 - s)), rtol=0, atol=1e-12)
    (slope,) = torch.autograd.grad(fields.sum(), v)
    exact = (256 * slope).log().sum()  # d u = d v / 256
    torch.testing.assert_close(log_det.detach()[0], exact, rtol=0, atol=1e-12)
    assert not math.isclose(float(log_det.detach()), float(slope.log().sum()), abs_tol=0.1)


def skew_law(bins: int) -> torch.Tensor:
    weight = torch.exp(-0.5 * ((torch.arange(bins, dtype=torch.float64) - 90) / 30) ** 2)
    return (weight + 0.002) / (weight + 0.002).sum()


def test_bits_of_the_law_itself_are_its_entropy() -> None:
    count = 4000
    law, scale = skew_law(256), Dequantisation()
    entropy = -float((law * law.log2()).sum())
    generator = torch.Generator().manual_seed(3)
    pixels = torch.multinomial(law, count, replacement=True, generator=generator)[:, None, None]
    _, log_det = scale.encode(pixels, uniforms(count, 1, 1))
    piecewise = (256 * law[pixels[:, 0, 0]]).log()  # its density of u
    bits = scale.bits(piecewise - log_det, log_det, 1)
    error = float(bits.std()) / math.sqrt(count)
    assert abs(float(bits.mean()) - entropy) < 4 * error
    flat = scale.bits(-log_det, log_det, 1)  # the uniform law
    torch.testing.assert_close(flat, torch.full_like(flat, 8.0), rtol=0, atol=1e-12)
    assert float(flat.mean()) - entropy > 1


def test_bits_of_a_gaussian_in_the_logit_bound_the_entropy() -> None:
    """Exactly, by quadrature over every pixel's bin; tight for a law that it fits."""
    law, scale, fine = skew_law(256), Dequantisation(), 64
    entropy = -float((law * law.log2()).sum())
    pixels = torch.arange(256)[:, None, None].expand(256, fine, 1).reshape(-1, 1, 1)
    v = ((torch.arange(fine, dtype=torch.float64) + 0.5) / fine).repeat(256)[:, None, None]
    y, log_det = scale.encode(pixels, v)
    weight = (law / fine).repeat_interleave(fine)
    y = y[:, 0, 0]
    mean = (weight * y).sum()

    def bits(variance: torch.Tensor) -> float:
        density = -0.5 * ((y - mean) ** 2 / variance + torch.log(2 * math.pi * variance))
        return float((weight * scale.bits(density, log_det, 1)).sum())

    variance = (weight * (y - mean) ** 2).sum()
    fitted = bits(variance)
    assert entropy < fitted < entropy + 0.4
    assert bits(2 * variance) > fitted
    assert bits(variance / 2) > fitted


def test_refusals() -> None:
    scale = Dequantisation()
    good, half = torch.zeros(1, 1, 2, dtype=torch.uint8), torch.full((1, 1, 2), 0.5)
    for bad in (torch.full((1, 1, 2), 256), torch.full((1, 1, 2), -1), torch.full((1, 1, 2), 0.5)):
        with pytest.raises(ValueError, match="whole pixels"):
            scale.encode(bad, half)
    with pytest.raises(ValueError, match="uniforms"):
        scale.encode(good, half * 2)
    for bins, alpha in ((1, 0.05), (256, 0.0), (256, 0.5)):
        with pytest.raises(ValueError, match="bins >= 2"):
            Dequantisation(bins, alpha)
    with pytest.raises(ValueError, match="dimensions"):
        scale.bits(torch.zeros(1), torch.zeros(1), 0)
