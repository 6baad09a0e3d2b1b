"""Fourier neural operators: one operator in the limit, exact on constants, weights of a seed."""

from __future__ import annotations

import itertools

import pytest
import torch

from pushforward.generative.band import resample
from pushforward.generative.fno import FNO

CONDITION = torch.tensor([[0.1, -1.0, 2.0, 0.5]] * 3, dtype=torch.float64)


def network(periodic: bool = True, ndim: int = 2) -> FNO:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        fno = FNO(2, 3, condition=4, width=6, modes=3, layers=2, ndim=ndim, periodic=periodic)
        for parameter in fno.double().parameters():
            parameter.data += 0.3 * torch.randn_like(parameter)
    return fno


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(3, 2, *shape, generator=torch.Generator().manual_seed(1)).double()


def test_network_is_one_operator_on_constant_fields() -> None:
    fno, u = network(), noise(1, 1)
    outputs = [fno(u.expand(3, 2, *shape), CONDITION) for shape in ((8, 8), (12, 31), (20, 10))]
    for out in outputs:
        torch.testing.assert_close(
            out, outputs[0][..., :1, :1].expand_as(out), rtol=1e-11, atol=1e-11
        )
    assert outputs[0].abs().max() > 0.1


@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "walls"])
def test_network_converges_as_the_grid_refines(periodic: bool) -> None:
    """Its pointwise layers make waves without end, so the grids agree in the limit only."""
    fno, u = network(periodic), 0.1 * noise(5, 5)
    with torch.no_grad():
        outputs = [fno(resample(u, (n, n), periodic), CONDITION) for n in (9, 18, 36)]
    few, some, many = (resample(out, (9, 9), periodic) for out in outputs)
    gaps = [float((fine - coarse).abs().max()) for coarse, fine in ((few, some), (some, many))]
    assert gaps[1] < 0.1 * gaps[0]
    assert many.std() > 10 * gaps[1]


@pytest.mark.parametrize("axis", [2, 3])
def test_between_walls_left_is_not_right(axis: int) -> None:
    """Its convolutions commute with reflections; its coordinates let the network not do so."""
    fno, u = network(periodic=False), noise(8, 9)

    def asymmetry() -> float:
        with torch.no_grad():
            return float((fno(u.flip(axis), CONDITION) - fno(u, CONDITION).flip(axis)).std())

    assert asymmetry() > 0.1
    fno.lift.weight.data[:, axis] = 0  # the coordinate of this axis is channel axis
    assert asymmetry() < 1e-12


def test_a_seed_draws_the_same_weights_for_ever() -> None:
    """Surrogates name their start by a seed: the order and the sizes of draws are part of it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        fno = FNO(2, 1, condition=3, width=4, modes=2, layers=2, ndim=2)
    assert [key for key, _ in fno.named_parameters()] == [
        *(f"embed.{i}.{what}" for i, what in itertools.product((0, 2), ("weight", "bias"))),
        *("lift.weight", "lift.bias"),
        *(
            f"blocks.{i}.{what}"
            for i in (0, 1)
            for what in ("local", "mix", "spectral.weight", "film.weight", "film.bias")
        ),
        *("head.weight", "head.bias", "project.weight", "project.bias"),
    ]
    drawn = [
        fno.get_parameter(key).flatten()[at]
        for key, at in (
            ("embed.0.weight", 0),
            ("lift.weight", 0),
            ("blocks.0.spectral.weight", 0),
            ("blocks.1.film.bias", 0),
            ("head.weight", -1),
        )
    ]
    expected = [-0.0043225, 0.822662, 0.1913225, 0.1725701, -0.9591305]
    torch.testing.assert_close(torch.stack(drawn), torch.tensor(expected), rtol=0, atol=1e-6)
