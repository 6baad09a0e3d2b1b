"""Transition kernels timed side by side: one law, its errors, what a training sees of it."""

from __future__ import annotations

import doctest
import math

import torch

from benchmarks.seeds import kernels


def test_examples_run() -> None:
    assert doctest.testmod(kernels).failed == 0


def test_all_kernels_are_one_law() -> None:
    """Perturbed coefficients have its moments, within 4 standard errors; another time has not."""
    t, count = kernels.times(5), 40_000
    phi, Sig = kernels.exact(t)
    for kernel in kernels.KERNELS.values():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            y = kernels.perturbed(kernel, t, torch.ones(5, count)).double()
        off = (y.mean(1) - phi) / (Sig.diagonal(dim1=-2, dim2=-1) / count).sqrt()
        assert off.abs().max() < 4
        rest = y - phi[:, None]
        found = rest.mT @ rest / count
        variance = Sig.diagonal(dim1=-2, dim2=-1)
        error = ((variance[:, :, None] * variance[:, None] + Sig**2) / count).sqrt()
        assert ((found - Sig) / error).abs().max() < 4.5
        assert ((found - Sig.roll(1, 0)) / error).abs().amax((1, 2)).min() > 8


def test_errors_tell_kernels_apart() -> None:
    t = kernels.times(64)
    assert kernels.error(kernels.doubling, t) < 1e-6
    assert kernels.error(kernels.automatic, t) < 1e-4
    assert kernels.error(kernels.analytic, t[8:]) < 1e-4
    assert kernels.error(kernels.analytic, t) > 1e-3  # single precision cancels at early times

    def late(t: torch.Tensor) -> kernels.Kernel:
        return kernels.doubling(1.01 * t)

    assert kernels.error(late, t) > 1e-3

    def none(t: torch.Tensor) -> kernels.Kernel:
        phi, L = kernels.doubling(t)
        return phi, math.nan * L

    assert kernels.error(none, t) == math.inf


def test_levels_are_the_snr_of_the_kernel() -> None:
    levels = kernels.path((1, 4, 4))
    assert kernels.error_of_levels(levels, kernels.times(16)) < 1e-5
    t = torch.tensor([0.5])
    x = torch.ones(1, 1, 20_000)
    level = float(kernels.path((1, 4, 4))(t)[0, 0, 0])
    y = kernels.seen(lambda t: levels(t)[..., :1].expand(-1, -1, 20_000), t, x)
    assert abs(float(y.mean()) - math.sqrt(1 / (1 + math.exp(-level)))) < 4 / math.sqrt(20_000)


def test_a_measurement_has_all_its_numbers() -> None:
    found = kernels.measure(rounds=2)
    assert {*found} == {"mnist", "cifar"}
    for name, ways in found.items():
        assert {*ways} == {*kernels.KERNELS, "levels"}
        assert all(one["seconds"] > 0 and one["kernel"] > 0 for one in ways.values())
        assert {way for way, one in ways.items() if "published" in one} == {
            *kernels.PUBLISHED[name]
        }
