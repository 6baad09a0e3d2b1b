"""Layers with gradients of their own equal the plain formulas, by FFT and einsum, and autograd."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pushforward.generative import layer
from pushforward.generative.fno import FNO, Block
from pushforward.generative.pointwise import channels_last

SHAPES = [(9,), (16, 12), (7, 10), (4, 6, 5)]


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def block(ndim: int, periodic: bool, modes: int = 3) -> Block:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        made = Block(4, modes, ndim, 5, periodic=periodic).double()
    for number, parameter in enumerate(made.parameters()):
        parameter.data += 0.2 * drawn(*parameter.shape, seed=number)
    return made


def slow(made: Block, h: Tensor, embedding: Tensor, *, shifted: bool = True) -> Tensor:
    """h + W_2 silu(FiLM(K h + W_1 h)), one wave after the other, channels first."""
    shape, ndim = h.shape[2:], h.ndim - 2
    weight = made.spectral.weight
    view = (len(h), -1, *[1] * ndim)
    if weight.ndim == ndim + 3:  # periodic: re and im
        axes = tuple(range(2, h.ndim))
        h_hat = torch.fft.fftn(h, dim=axes, norm="forward")
        kept = [min(made.spectral.modes, (n - 1) // 2) for n in shape]
        matrices = torch.view_as_complex(weight)
        out_hat = torch.zeros_like(h_hat)
        for k in itertools.product(range(kept[0] + 1), *(range(-m, m + 1) for m in kept[1:])):
            matrix = matrices[(k[0], *(q + made.spectral.modes for q in k[1:]))]
            term = torch.einsum("io,bi->bo", matrix, h_hat[(..., *k)])
            mask = torch.zeros(shape, dtype=h.dtype)
            mask[k] = 1
            out_hat = out_hat + term.view(view) * mask
            if k[0] > 0:
                mask = torch.zeros(shape, dtype=h.dtype)
                mask[tuple(-q for q in k)] = 1
                out_hat = out_hat + term.conj().view(view) * mask
        convolved = torch.fft.ifftn(out_hat, dim=axes, norm="forward").real
    else:
        convolved = torch.zeros_like(h)
        x = [(torch.arange(n, dtype=h.dtype) + 0.5) / n for n in shape]
        kept = [min(2 * made.spectral.modes + 1, n) for n in shape]
        for k in itertools.product(*map(range, kept)):
            wave = torch.ones(shape, dtype=h.dtype)
            for axis, q in enumerate(k):
                line = torch.cos(torch.pi * q * x[axis]) * (2**0.5 if q else 1)
                wave = wave * line.view([-1 if a == axis else 1 for a in range(ndim)])
            z = (h * wave).flatten(2).mean(2)
            convolved = convolved + torch.einsum("io,bi->bo", weight[k], z).view(view) * wave
    scale, shift = made.film(embedding).view(view).chunk(2, 1)
    seen = convolved + torch.einsum("oi,bi...->bo...", made.local, h)
    seen = seen * (1 + scale) + (shift if shifted else 0)
    return h + torch.einsum("oi,bi...->bo...", made.mix, F.silu(seen))


def gradients(out: Tensor, given: list[Tensor]) -> tuple[Tensor, ...]:
    total = (out * drawn(*out.shape, seed=9)).sum()
    return torch.autograd.grad(total, given, retain_graph=True)


@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "walls"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_block_and_its_gradients_equal_the_plain_formula(
    shape: tuple[int, ...], periodic: bool
) -> None:
    """Whatever lies how in memory; waves beyond a coarse grid's are left out by both."""
    made, embedding = block(len(shape), periodic), drawn(2, 5).requires_grad_()
    h = drawn(2, 4, *shape).requires_grad_()
    given = [h, embedding, *made.parameters()]
    expected = slow(made, h, embedding)
    for turned in (h, channels_last(h)):
        out = made(turned, embedding)
        torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)
        for mine, theirs in zip(gradients(out, given), gradients(expected, given), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)
    wrong = slow(made, h, embedding, shifted=False)  # negative control: the shift matters
    assert (out - wrong).abs().max() > 0.01


@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "walls"])
def test_gradients_of_their_own_are_those_of_autograd(
    periodic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through a whole network, first and second ones; and without any the output is the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = FNO(2, 1, condition=3, width=4, modes=2, layers=3, ndim=2, periodic=periodic)
    for number, parameter in enumerate(network.double().parameters()):
        parameter.data += 0.2 * drawn(*parameter.shape, seed=number)
    u, condition = drawn(2, 2, 8, 7).requires_grad_(), drawn(2, 3)
    given = [u, *network.parameters()]

    def found() -> list[Tensor]:
        out = network(u, condition)
        (first,) = torch.autograd.grad(out.square().sum(), u, create_graph=True)
        return [out, *gradients(out, given), *gradients(first, given)]

    own = found()
    with torch.no_grad():
        torch.testing.assert_close(network(u, condition), own[0], rtol=1e-13, atol=1e-13)
    monkeypatch.setattr(layer, "_plain", lambda h: True)
    for mine, plain in zip(own, found(), strict=True):
        torch.testing.assert_close(mine, plain, rtol=1e-10, atol=1e-10)


def test_gradients_that_differ_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: a backward pass that forgets to add what is there fails by gradcheck."""
    h, into = drawn(2, 6, 3).requires_grad_(), drawn(4, 6, seed=1)
    z, back, mix = drawn(2, 4, 3, seed=2), drawn(6, 4, seed=3), drawn(3, 3, seed=4)
    local = drawn(2, 3, 3, seed=5)
    inputs = (h, *(x.requires_grad_() for x in (z, back, local, mix)))
    back.requires_grad_(False)  # a table, which nothing learns

    def analyse(h: Tensor) -> tuple[Tensor, Tensor]:
        same, z = layer.analysed(h, into)
        return same.sin(), z

    assert torch.autograd.gradcheck(analyse, (h,))
    assert torch.autograd.gradcheck(layer.layered, inputs)
    assert torch.autograd.gradgradcheck(layer.layered, inputs)
    monkeypatch.setattr(layer._Analysis, "backward", staticmethod(lambda ctx, g, g_z: (g, None)))
    assert not torch.autograd.gradcheck(analyse, (h,), raise_exception=False)
