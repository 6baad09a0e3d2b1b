"""Spectral convolutions: the same operator on every grid, equal to dense transforms."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.fft
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pushforward.generative.band import resample
from pushforward.generative.spectral import CosineConv, SpectralConv
from pushforward.solvers import Grid


def layer(modes: int, ndim: int, channels: tuple[int, int] = (2, 3)) -> SpectralConv:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return SpectralConv(*channels, modes, ndim).double()


def band_limited(shape: tuple[int, ...], band: int, channels: int = 2) -> torch.Tensor:
    """Fields (3, channels, *shape) with waves |k_i| <= band, the same functions on every grid."""
    small = Grid((2 * band + 2,) * len(shape))
    noise = torch.randn(3, channels, *small.shape, generator=torch.Generator().manual_seed(1))
    u = small.ifft(small.fft(noise.double()) * small.resolved())
    return small.resample(u, Grid(shape))


SIZES = [
    *itertools.permutations([(10,), (16,), (64,)], 2),
    *itertools.permutations([(10, 10), (16, 24), (32, 10), (40, 40)], 2),
    *itertools.permutations([(10, 10, 10), (12, 16, 10)], 2),
]


@pytest.mark.parametrize(("n", "m"), SIZES, ids=str)
def test_spectral_layer_is_the_same_operator_on_both_grids(
    n: tuple[int, ...], m: tuple[int, ...]
) -> None:
    """K h on M points is K h on N points, interpolated, M finer or coarser than N."""
    conv = layer(modes=3, ndim=len(n))
    on_n, on_m = conv(band_limited(n, 4)), conv(band_limited(m, 4))
    torch.testing.assert_close(Grid(n).resample(on_n, Grid(m)), on_m, rtol=0, atol=1e-12)
    assert on_m.std() > 0.01


@given(
    shape=st.lists(st.integers(1, 24), min_size=1, max_size=3).map(tuple),
    modes=st.integers(1, 5),
)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_spectral_layer_equals_a_dense_transform(shape: tuple[int, ...], modes: int) -> None:
    """Every point, every wave: R_k for k_1 >= 0, conj(R_-k) for k_1 < 0, real part at the end."""
    conv, ndim = layer(modes, len(shape)), len(shape)
    h = torch.randn(2, 2, *shape, generator=torch.Generator().manual_seed(3)).double()
    h_hat = torch.fft.fftn(h, dim=tuple(range(2, 2 + ndim)), norm="forward")
    weight = torch.view_as_complex(conv.weight.detach())
    out = torch.zeros(2, 3, *shape, dtype=torch.complex128)
    kept = [min(modes, (n - 1) // 2) for n in shape]
    for k in itertools.product(range(kept[0] + 1), *(range(-m, m + 1) for m in kept[1:])):
        matrix = weight[(k[0], *(q + modes for q in k[1:]))]
        term = torch.einsum("io,bi->bo", matrix, h_hat[(..., *k)])
        out[(..., *k)] += term
        if k[0] > 0:
            out[(..., *(-q for q in k))] += term.conj()
    reference = torch.fft.ifftn(out, dim=tuple(range(2, 2 + ndim)), norm="forward").real
    torch.testing.assert_close(conv(h), reference, rtol=0, atol=1e-12)


def test_waves_beyond_the_modes_are_dropped() -> None:
    conv = layer(modes=3, ndim=2)
    y, x = Grid((16, 16)).coordinates()
    beyond = (torch.cos(4 * y)[:, None] + torch.sin(5 * x)).expand(1, 2, 16, 16)
    assert conv(beyond).abs().max() < 1e-14
    within = (torch.cos(3 * y)[:, None] + torch.sin(3 * x)).expand(1, 2, 16, 16)
    assert conv(within).abs().max() > 0.1


@pytest.mark.parametrize("shape", [(12,), (8, 10), (6, 6, 8)], ids=str)
def test_spectral_layer_commutes_with_translations(shape: tuple[int, ...]) -> None:
    conv = layer(modes=2, ndim=len(shape))
    h = torch.randn(2, 2, *shape, generator=torch.Generator().manual_seed(0)).double()
    steps, axes = tuple(range(1, 1 + len(shape))), tuple(range(2, 2 + len(shape)))
    torch.testing.assert_close(
        conv(h.roll(steps, axes)), conv(h).roll(steps, axes), rtol=0, atol=1e-13
    )


@pytest.mark.parametrize("shape", [(8,), (6, 8), (4, 6, 4)], ids=str)
def test_gradients_of_the_spectral_layer(shape: tuple[int, ...]) -> None:
    conv = layer(modes=2, ndim=len(shape), channels=(1, 2))
    h = torch.randn(1, 1, *shape, generator=torch.Generator().manual_seed(0)).double()

    def apply(h: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(conv, {"weight": weight}, (h,))

    weight = conv.weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(apply, (h.requires_grad_(), weight))


def test_an_odd_grid_holds_the_same_operator() -> None:
    conv = layer(modes=3, ndim=2)
    even, odd = band_limited((16, 12), 4), resample(band_limited((16, 12), 4), (9, 15))
    torch.testing.assert_close(resample(conv(odd), (16, 12)), conv(even), rtol=0, atol=1e-12)


def cosine_layer(modes: int, ndim: int) -> CosineConv:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return CosineConv(2, 3, modes, ndim).double()


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(2, 2, *shape, generator=torch.Generator().manual_seed(3)).double()


@given(
    shape=st.lists(st.integers(1, 14), min_size=1, max_size=3).map(tuple),
    modes=st.integers(1, 4),
)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_cosine_layer_equals_a_dense_transform(shape: tuple[int, ...], modes: int) -> None:
    conv, h, axes = cosine_layer(modes, len(shape)), noise(*shape), tuple(range(2, 2 + len(shape)))
    h_hat = np.asarray(scipy.fft.dctn(h.numpy(), axes=axes, norm="ortho"))
    out = np.zeros((2, 3, *shape))
    for k in itertools.product(*(range(min(2 * modes + 1, n)) for n in shape)):
        out[(..., *k)] = h_hat[(..., *k)] @ conv.weight.detach().numpy()[k]
    reference = torch.from_numpy(np.asarray(scipy.fft.idctn(out, axes=axes, norm="ortho")))
    torch.testing.assert_close(conv(h), reference, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("n", "m"), [((9,), (16,)), ((9, 12), (17, 8)), ((8, 9, 8), (9, 11, 10))])
def test_cosine_layer_is_the_same_operator_on_both_grids(
    n: tuple[int, ...], m: tuple[int, ...]
) -> None:
    conv = cosine_layer(2, len(n))
    small = noise(*[8] * len(n))
    on_n, on_m = (conv(resample(small, shape, periodic=False)) for shape in (n, m))
    common = [min(sizes) for sizes in zip(n, m, strict=True)]
    torch.testing.assert_close(
        resample(on_n, common, False), resample(on_m, common, False), rtol=0, atol=1e-12
    )
    periodic = layer(2, len(n))  # negative control: another convolution, another band
    on_n, on_m = (periodic(resample(small, shape, periodic=False)) for shape in (n, m))
    gap = resample(on_n, common, False) - resample(on_m, common, False)
    assert gap.abs().max() > 0.01


def test_cosine_layer_continues_fields_by_reflection() -> None:
    """It is the convolution of the doubled field, and commutes with reflections."""
    conv, h = cosine_layer(3, 1), noise(12)
    doubled = SpectralConv(2, 3, modes=6, ndim=1).double()
    doubled.weight.data = torch.stack([conv.weight, 0 * conv.weight], -1).detach()
    reference = doubled(torch.cat([h, h.flip(-1)], -1))[..., :12]
    torch.testing.assert_close(conv(h), reference, rtol=0, atol=1e-12)
    torch.testing.assert_close(conv(h.flip(-1)), conv(h).flip(-1), rtol=0, atol=1e-12)
    assert (conv(h.roll(1, -1)) - conv(h).roll(1, -1)).abs().max() > 0.1


def test_nothing_comes_around_between_walls() -> None:
    """A bump at one wall, blurred a little, leaves the other alone; around a torus it does not."""
    bump = torch.zeros(1, 1, 64, dtype=torch.float64)
    bump[..., 0] = 1
    walls, torus = CosineConv(1, 1, 16, 1).double(), SpectralConv(1, 1, 16, 1).double()
    blur = torch.exp(-0.5 * (2 * math.pi * 0.05 * torch.arange(17)) ** 2)
    half = torch.exp(-0.5 * (math.pi * 0.05 * torch.arange(33)) ** 2)
    walls.weight.data = half.double()[:, None, None]
    torus.weight.data = torch.stack([blur, 0 * blur], -1).double()[:, None, None]
    answer, around = walls(bump)[0, 0], torus(bump)[0, 0]
    assert answer[-16:].abs().max() < 1e-4 * answer[0]
    assert around[-1] > 0.8 * around[0]
    torch.testing.assert_close(answer.mean(), bump.mean())  # and nothing is lost at the wall


@pytest.mark.parametrize("convolution", [SpectralConv, CosineConv])
def test_what_was_remembered_in_inference_serves_training(
    convolution: type[SpectralConv] | type[CosineConv],
) -> None:
    conv, h = convolution(1, 1, 5, 1), torch.ones(1, 1, 37)
    with torch.inference_mode():
        conv(h)
    conv(h.requires_grad_()).square().sum().backward()
    assert h.grad is not None
