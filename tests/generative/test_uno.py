"""U-shaped neural operators: the same few points below on every grid, joined on the way up."""

from __future__ import annotations

import pytest
import torch

from pushforward.generative.band import resample
from pushforward.generative.uno import UNO

CONDITION = torch.tensor([[0.1, -1.0, 2.0, 0.5]] * 3, dtype=torch.float64)


def network(periodic: bool = True, ndim: int = 2, layers: int = 3, stir: float = 0.2) -> UNO:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        uno = UNO(2, 3, condition=4, width=6, modes=4, layers=layers, ndim=ndim, periodic=periodic)
        for parameter in uno.double().parameters():
            parameter.data += stir * torch.randn_like(parameter)
    return uno


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(3, 2, *shape, generator=torch.Generator().manual_seed(1)).double()


def seen(uno: UNO, u: torch.Tensor) -> list[tuple[int, ...]]:
    """The shapes (channel, *grid) that its blocks work on, from input to output."""
    shapes: list[tuple[int, ...]] = []
    blocks = [*uno.down, *uno.up]
    hooks = [
        block.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:])))
        for block in blocks
    ]
    with torch.no_grad():
        uno(u, CONDITION)
    for hook in hooks:
        hook.remove()
    return shapes


@pytest.mark.parametrize("shape", [(64, 64), (31, 200), (17, 18)], ids=str)
def test_below_the_grid_all_grids_are_alike(shape: tuple[int, ...]) -> None:
    """Depths 1 and 2 hold 2 and 1 modes twice: |k| <= 4 and 2, on 9 and 5 points."""
    below = [(12, 9, 9), (24, 5, 5), (12, 9, 9)]
    assert seen(network(), noise(*shape)) == [(6, *shape), *below, (6, *shape)]


def test_a_coarse_grid_gives_what_it_resolves() -> None:
    assert seen(network(), noise(3, 8)) == [
        (6, 3, 8),
        (12, 3, 8),
        (24, 3, 5),
        (12, 3, 8),
        (6, 3, 8),
    ]
    assert seen(network(layers=1), noise(3, 8)) == [(6, 3, 8)]


@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "walls"])
@pytest.mark.parametrize("ndim", [1, 2])
def test_network_converges_as_the_grid_refines(periodic: bool, ndim: int) -> None:
    uno, u = network(periodic, ndim, stir=0.1), 0.1 * noise(*[5] * ndim)
    with torch.no_grad():
        outputs = [uno(resample(u, (n,) * ndim, periodic), CONDITION) for n in (17, 34, 68)]
    few, some, many = (resample(out, (17,) * ndim, periodic) for out in outputs)
    gaps = [float((fine - coarse).abs().max()) for coarse, fine in ((few, some), (some, many))]
    assert gaps[1] < 0.01 * gaps[0]
    assert many.std() > 10 * gaps[1]


def test_large_scales_take_the_way_down_and_small_ones_the_skip() -> None:
    uno, u = network(), noise(24, 24)
    before = uno(u, CONDITION)
    uno.get_parameter("down.2.mix").data += 0.5  # the deepest block: what it changes is smooth
    change = uno(u, CONDITION) - before
    assert change.std() > 0.01
    uno.get_parameter("rise.0.weight").data.zero_()
    uno.get_parameter("rise.0.bias").data.zero_()
    skip = uno(u, CONDITION)
    uno.get_parameter("down.1.mix").data += 0.5
    assert uno(u, CONDITION).equal(skip)  # nothing rises from below any more
    assert (skip - uno(u.roll(1, -1), CONDITION)).std() > 0.1


def test_what_rises_is_band_limited() -> None:
    """From depth 1 come waves |k| <= 4 alone, whatever the grid."""
    uno, u = network(), noise(24, 24)
    inputs: list[torch.Tensor] = []
    uno.up[0].register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    with torch.no_grad():
        uno(u, CONDITION)
        uno.get_parameter("down.1.mix").data += 0.5
        uno(u, CONDITION)
    risen = inputs[1] - inputs[0]
    torch.testing.assert_close(resample(resample(risen, (9, 9)), (24, 24)), risen)
    assert risen.std() > 0.01
    assert (resample(resample(inputs[0], (9, 9)), (24, 24)) - inputs[0]).std() > 0.1
