"""Fourier layers: the same operator on every grid, equal to a dense FFT, zero until trained."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pushforward.generative import FNO, SpectralConv
from pushforward.generative.backbone import Pointwise
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
    shape=st.lists(st.integers(2, 12).map(lambda n: 2 * n), min_size=1, max_size=3).map(tuple),
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


def network(ndim: int = 2, trained: bool = False) -> FNO:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        fno = FNO(2, 3, condition=4, width=6, modes=3, layers=2, ndim=ndim).double()
        if trained:
            for parameter in fno.parameters():
                parameter.data += 0.3 * torch.randn_like(parameter)
    return fno


CONDITION = torch.tensor([[0.1, -1.0, 2.0, 0.5]] * 3, dtype=torch.float64)


@pytest.mark.parametrize("shape", [(16,), (8, 12), (6, 8, 6)], ids=str)
def test_untrained_network_is_the_zero_operator(shape: tuple[int, ...]) -> None:
    u = band_limited(shape, 2)
    fno = network(len(shape))
    out = fno(u, CONDITION)
    assert out.shape == (3, 3, *shape)
    assert (out == 0).all()
    out.sum().backward()
    gradient = fno.project.weight.grad
    assert gradient is not None
    assert gradient.abs().max() > 0  # it can leave zero


def test_network_is_one_operator_on_constant_fields() -> None:
    fno = network(trained=True)
    u = torch.randn(3, 2, 1, 1, generator=torch.Generator().manual_seed(2)).double()
    outputs = [fno(u.expand(3, 2, *shape), CONDITION) for shape in ((8, 8), (12, 32), (20, 10))]
    for out in outputs:
        torch.testing.assert_close(
            out, outputs[0][..., :1, :1].expand_as(out), rtol=1e-11, atol=1e-11
        )
    assert outputs[0].abs().max() > 0.1


def test_network_converges_as_the_grid_refines() -> None:
    """Its pointwise layers make waves without end, so the grids agree in the limit only."""
    fno = network(trained=True)
    with torch.no_grad():
        outputs = [fno(0.1 * band_limited((n, n), 2), CONDITION) for n in (8, 16, 32)]
    gaps = [
        float((fine[..., ::2, ::2] - coarse).abs().max())
        for coarse, fine in itertools.pairwise(outputs)
    ]
    assert gaps[1] < 0.1 * gaps[0]
    assert outputs[-1].std() > 10 * gaps[1]


def test_network_commutes_with_translations_and_hears_its_condition() -> None:
    fno, u = network(trained=True), band_limited((12, 12), 4)
    out = fno(u, CONDITION)
    moved = fno(u.roll((3, 5), (-2, -1)), CONDITION)
    torch.testing.assert_close(moved, out.roll((3, 5), (-2, -1)), rtol=1e-10, atol=1e-10)
    assert (fno(u, CONDITION + 1) - out).abs().max() > 0.01
    torch.testing.assert_close(fno(u[1:], CONDITION[1:]), out[1:], rtol=1e-10, atol=1e-10)


def test_pointwise_layer_is_a_matrix_at_every_point() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        local = Pointwise(2, 3).double()
    local.bias.data += 1
    u = band_limited((8, 10), 2)
    expected = torch.einsum("oi,biyx->boyx", local.weight, u) + local.bias[..., None]
    torch.testing.assert_close(local(u), expected)
