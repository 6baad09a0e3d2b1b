"""What every basis keeps: Parseval, inverse, volume, unit variance, white noise, restoring."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pushforward.generative.bases import BASES, outline
from pushforward.generative.basis import Basis
from pushforward.solvers import Grid, Use

GRIDS = [Grid((12,), (3.0,)), Grid((8, 12), (1.0, 2.0)), Grid((4, 8, 4))]
KINDS = pytest.mark.parametrize("kind", BASES)
EACH = pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: str(grid.shape))


def rough(grid: Grid, count: int, seed: int = 0) -> torch.Tensor:
    """Two correlated channels of independent points, with a mean that varies."""
    generator = torch.Generator().manual_seed(seed)
    u = torch.randn(count, 2, *grid.shape, generator=generator, dtype=torch.float64)
    u[:, 1] = 3 * u[:, 1] + 2 * u[:, 0]
    return u + torch.linspace(0, 2, grid.shape[-1], dtype=torch.float64)


def shown(basis: Basis, u: torch.Tensor) -> torch.Tensor:
    """The fields without what no coefficient of the basis holds (Fourier's Nyquist waves)."""
    return basis.place(basis.read(u, basis.grid), basis.grid)


@EACH
@KINDS
def test_coefficients_are_orthonormal(kind: str, grid: Grid) -> None:
    basis = BASES[kind].fit(rough(grid, 60), grid)
    u = rough(grid, 7, seed=1)
    v = shown(basis, u)
    if kind != "fourier":
        assert len(basis.shell) == grid.size
        torch.testing.assert_close(v, u, rtol=0, atol=1e-12)
    torch.testing.assert_close(shown(basis, v), v, rtol=0, atol=1e-12)
    raw = basis.read(v, grid)
    torch.testing.assert_close(raw.square().sum(-1), v.square().mean(grid.axes))
    inner = (raw[1:] * raw[:-1]).sum(-1)
    torch.testing.assert_close(inner, (v[1:] * v[:-1]).mean(grid.axes))


@EACH
@KINDS
def test_synthesis_undoes_analysis(kind: str, grid: Grid) -> None:
    u = rough(grid, 60)
    basis = BASES[kind].fit(u, grid)
    v = shown(basis, u)
    x = basis.analyse(v, grid)
    assert x.shape == (60, 2, len(basis.shell))
    torch.testing.assert_close(basis.synthesise(x, grid), v, rtol=0, atol=1e-10)
    z = basis.noise(0, Use.PRIOR, range(4))
    back = basis.analyse(basis.synthesise(z.double(), grid), grid)
    torch.testing.assert_close(back, z.double(), rtol=0, atol=1e-10)
    single = basis.analyse(basis.synthesise(z, grid), grid)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single, z, rtol=0, atol=1e-4)


@EACH
@KINDS
def test_log_det_is_that_of_the_dense_jacobian(kind: str, grid: Grid) -> None:
    """From N grid values a channel to x: each value counts sqrt(N) times as much as in L^2."""
    u = rough(grid, 300)
    basis = BASES[kind].fit(u, grid)
    jacobian = torch.autograd.functional.jacobian(
        lambda v: basis.analyse(v, grid)[basis.mask], u[0]
    )
    assert isinstance(jacobian, torch.Tensor)
    rows = jacobian.flatten(1)
    dense = 0.5 * torch.linalg.slogdet(rows @ rows.T)[1].item()
    assert len(rows) == basis.dimensions
    points = 0.5 * basis.dimensions * math.log(grid.size)
    assert basis.log_det - points == pytest.approx(dense, rel=1e-9)
    twice = BASES[kind].fit(2 * u, grid).log_det
    assert twice == pytest.approx(basis.log_det - basis.dimensions * math.log(2), rel=1e-9)
    assert abs(basis.log_det - dense) > 1  # negative control: without the sqrt(N)


@KINDS
def test_fitted_fields_have_unit_variance(kind: str) -> None:
    grid = GRIDS[1]
    u = rough(grid, 200)
    basis = BASES[kind].fit(u, grid)
    x = basis.analyse(u, grid)
    both = basis.mask.double()
    noise = x.std(0) / math.sqrt(200)  # what is left of the mean is at most noise
    assert (x.mean(0).abs() < 9 * noise + 1e-9).all()
    product = torch.einsum("nim,njm->ijm", x, x) / 200
    power = basis.shell_sum(product) / basis.shell_sum(both[:, None] * both)
    wanted = torch.eye(2).double()[..., None].expand_as(power)
    torch.testing.assert_close(power, wanted, rtol=0, atol=1e-9)
    first = basis.log_variance[0].exp()[basis.mask[0]].sum()
    assert first.item() == pytest.approx(1, rel=1e-9)
    # the second channel is 3^2 of 3^2 + 2^2 given the first, on every coefficient alike
    second = basis.log_variance[1].exp()[basis.mask[1]].sum()
    assert second.item() == pytest.approx(9 / 13, rel=0.1)
    rest = shown(basis, u) - basis.place(basis.mean, grid)
    torch.testing.assert_close(basis.scale, rest.square().mean((0, *grid.axes)).sqrt())


def whiteness(x: torch.Tensor) -> torch.Tensor:
    """How far variances and correlations (n, K) are from those of white noise, in std. errors."""
    n, count = x.shape
    covariance = x.T @ x / n
    variance = (covariance.diagonal().mean() - 1) / math.sqrt(2 / (n * count))
    off = covariance - torch.diag(covariance.diagonal())
    pairs = count * (count - 1) / 2
    # n c^2 is chi-squared with one degree of freedom, its mean over the pairs has variance 2 / P
    correlation = (off.square().sum() / 2 * n / pairs - 1) / math.sqrt(2 / pairs)
    return torch.stack([variance, correlation])


@KINDS
def test_noise_is_white_and_stays_so_through_space(kind: str) -> None:
    grid = GRIDS[1]
    basis = BASES[kind].fit(rough(grid, 60), grid)
    z = basis.noise(1, Use.PRIOR, range(1500)).double()
    x = basis.analyse(basis.synthesise(z, grid), grid)[:, basis.mask]
    assert x.shape[1] == basis.dimensions
    assert whiteness(x).abs().max() < 4
    assert whiteness(1.02 * x).abs().max() > 4
    assert whiteness((x + 0.1 * x.roll(1, 1)) / math.sqrt(1.01)).abs().max() > 4
    assert (z * ~basis.mask).abs().max() == 0


@KINDS
def test_noise_is_addressed(kind: str) -> None:
    grid = GRIDS[2]
    basis = BASES[kind].fit(rough(grid, 60), grid)
    noise = basis.noise(3, Use.CHURN, range(6), 2)
    assert noise.dtype == torch.float32
    assert torch.equal(basis.noise(3, Use.CHURN, [5, 1], 2), noise[[5, 1]])
    for other in (
        basis.noise(4, Use.CHURN, range(6), 2),
        basis.noise(3, Use.PRIOR, range(6), 2),
        basis.noise(3, Use.CHURN, range(6), 3),
        basis.noise(3, Use.CHURN, range(6, 12), 2),
        noise.flip(1),
    ):
        assert not ((other == noise) & (noise != 0)).any()
    values = noise[:, basis.mask].flatten()
    assert len(values.unique()) > 0.999 * len(values)  # no two coefficients share a number


@KINDS
def test_a_state_restores_the_basis(kind: str) -> None:
    grid = GRIDS[1]
    u = rough(grid, 60)
    one = BASES[kind].fit(u, grid)
    two = BASES[kind](grid, one.state_dict())
    assert two.kind == kind
    assert torch.equal(two.analyse(u, grid), one.analyse(u, grid))
    z = one.noise(0, Use.PRIOR, [4])
    assert torch.equal(two.synthesise(z, grid), one.synthesise(z, grid))
    assert torch.equal(two.noise(0, Use.PRIOR, [4]), z)
    assert two.log_det == one.log_det
    assert not torch.equal(BASES[kind].fit(2 * u, grid).analyse(u, grid), one.analyse(u, grid))


@KINDS
def test_channels_that_say_nothing_are_dropped(kind: str) -> None:
    grid = Grid((12,))
    u = rough(grid, 80)[:, :1]
    basis = BASES[kind].fit(torch.cat([u, 2 * u], 1), grid)
    assert basis.mask[0].any()
    assert not basis.mask[1].any()
    v = shown(basis, torch.cat([u, 2 * u], 1))
    x = basis.analyse(v, grid)
    torch.testing.assert_close(basis.synthesise(x, grid), v, rtol=0, atol=1e-9)
    still = BASES[kind].fit(torch.cat([u, torch.full_like(u, 3.0)], 1), grid)
    assert not still.mask[1].any()
    assert torch.isfinite(still.log_variance).all()
    v = still.synthesise(still.noise(0, Use.PRIOR, range(3)), grid)
    torch.testing.assert_close(v[:, 1], torch.full_like(v[:, 1], 3.0))
    assert still.dimensions == int(still.mask[0].sum())


@KINDS
def test_bands_average_what_is_kept(kind: str) -> None:
    grid = GRIDS[1]
    basis = BASES[kind].fit(rough(grid, 60), grid)
    assert basis.band.shape == basis.shell.shape
    assert 0 <= int(basis.band.min()) <= int(basis.band.max()) < basis.bands
    kept = basis.mask.any(0)
    values = torch.randn(3, 2, len(kept), generator=torch.Generator().manual_seed(0))
    means = basis.band_mean(values)
    assert means.shape == (3, 2, basis.bands)
    for band in range(basis.bands):
        some = (basis.band == band) & kept
        wanted = values[..., some].mean(-1) if some.any() else torch.zeros(3, 2)
        torch.testing.assert_close(means[..., band], wanted)
    shells = basis.shell_mean(values)
    wanted = values[..., basis.shell == 0].mean(-1)
    torch.testing.assert_close(shells[..., 0], wanted)


@KINDS
def test_modes_name_what_a_basis_has(kind: str) -> None:
    grid = GRIDS[1]
    modes = BASES[kind].fit(rough(grid, 60), grid).modes
    assert (modes.points, modes.extent) == (grid.size, grid.extent)
    assert (modes.frequency is not None) == (kind in ("fourier", "cosine"))
    assert (modes.level is not None) == (kind == "haar")
    assert (modes.position is not None) == (kind in ("haar", "pixel"))
    assert modes.folds == (2 if kind == "cosine" else 1)


@KINDS
def test_working_grids_hold_what_is_kept(kind: str) -> None:
    grid = Grid((16, 24), (1.0, 2.0))
    basis = BASES[kind].fit(rough(grid, 60), grid)
    grids = basis.working_grids()
    held = [basis.held(small) for small in grids]
    assert all(mask.shape == basis.shell.shape for mask in held)
    assert held[-1].all()
    assert [int(mask.sum()) for mask in held] == sorted({int(mask.sum()) for mask in held})
    assert (len(grids) > 1) == (kind in ("fourier", "cosine", "haar"))
    z = basis.noise(0, Use.PRIOR, [0]).double()
    for small, mask in zip(grids, held, strict=True):
        seen = basis.read(basis.place(z, small), small)
        torch.testing.assert_close(seen, z * mask, rtol=0, atol=1e-10)


@KINDS
def test_gradients_pass_through(kind: str) -> None:
    """Also after the basis was first used in inference mode."""
    grid = Grid((8, 8))
    basis = BASES[kind].fit(rough(grid, 40), grid)
    with torch.inference_mode():
        basis.synthesise(basis.noise(0, Use.PRIOR, [0]), grid)
        basis.band_mean(basis.read(rough(grid, 2), grid))
    u = rough(grid, 2).requires_grad_()
    basis.place(basis.read(u, grid) ** 2, grid).sum().backward()
    assert u.grad is not None
    assert u.grad.abs().max() > 0


@KINDS
def test_fields_that_cannot_be_fitted_are_refused(kind: str) -> None:
    grid = Grid((8, 8))
    broken = rough(grid, 3)
    broken[1, 0, 0, 0] = math.nan
    with pytest.raises(ValueError, match="1 non-finite values; remove those members"):
        BASES[kind].fit(broken, grid)
    with pytest.raises(ValueError, match="at least 2 finite fields"):
        BASES[kind].fit(rough(grid, 1), grid)
    with pytest.raises(ValueError, match="fields that vary"):
        BASES[kind].fit(torch.ones(4, 1, 8, 8), grid)
    basis = BASES[kind].fit(rough(grid, 20), grid)
    with pytest.raises(ValueError, match="was fitted on"):
        basis.analyse(torch.zeros(2, 8, 8), Grid((8, 8), (1.0, 1.0)))


@KINDS
def test_what_a_basis_cannot_do_is_refused_with_the_reason(kind: str) -> None:
    grid = Grid((8, 8))
    basis = BASES[kind].fit(rough(grid, 20), grid)
    values = torch.ones(1, 2, len(basis.shell))
    if basis.localised:
        torch.testing.assert_close(basis.spread(values, grid), torch.ones(1, 2, 8, 8))
    else:
        with pytest.raises(ValueError, match=f"got {kind}, whose .* everywhere; choose the pixel"):
            basis.spread(values, grid)
    if basis.translates:
        x = basis.analyse(rough(grid, 1), grid)
        still = basis.translate(x, torch.zeros(1, 2))
        torch.testing.assert_close(still, x, rtol=0, atol=1e-12)
    else:
        with pytest.raises(ValueError, match=f"got {kind}, whose .*; train without translations"):
            basis.translate(values, torch.zeros(1, 2))
    if kind in ("pixel", "pca"):
        with pytest.raises(ValueError, match=f"got {kind}, whose .*; choose fourier, cosine"):
            basis.extend(Grid((16, 16)))
        other = Grid((16, 16), extent=(1.0, 1.0) if kind == "pixel" else (2.0, 1.0))
        told = "that the pixel basis was fitted on" if kind == "pixel" else "that the basis was"
        for call in (basis.held, lambda other: basis.place(values, other)):
            with pytest.raises(ValueError, match=told):
                call(other)
    else:
        for other in (Grid((4, 8)), Grid((16, 16), (1.0, 1.0))):
            with pytest.raises(ValueError, match="with at least"):
                basis.extend(other)


SHAPES = st.lists(st.sampled_from([4, 6, 8, 12]), min_size=1, max_size=3).map(tuple)


@settings(deadline=None, max_examples=12)
@given(shape=SHAPES, seed=st.integers(0, 100), kind=st.sampled_from(sorted(BASES)))
def test_any_box_is_told_without_loss(shape: tuple[int, ...], seed: int, kind: str) -> None:
    grid = Grid(shape, tuple(1.0 + axis for axis in range(len(shape))))
    u = rough(grid, 14, seed)
    basis = BASES[kind].fit(u, grid)
    v = shown(basis, u)
    if kind != "fourier":
        torch.testing.assert_close(v, u, rtol=0, atol=1e-11)
    raw = basis.read(v, grid)
    torch.testing.assert_close(raw.square().sum(-1), v.square().mean(grid.axes))
    x = basis.analyse(v, grid)
    torch.testing.assert_close(basis.synthesise(x, grid), v, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", BASES)
def test_the_outline_of_a_basis_has_what_the_basis_has(kind: str) -> None:
    grid = Grid((8, 8), boundary="neumann" if kind == "cosine" else "periodic")
    u = torch.randn(30, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    modes, sketch = BASES[kind].fit(u, grid).modes, outline(kind, grid, 2)
    for name in ("frequency", "level", "position"):
        assert (getattr(modes, name) is None) == (getattr(sketch, name) is None), name
    assert (modes.points, modes.extent, modes.folds) == (
        sketch.points,
        sketch.extent,
        sketch.folds,
    )


@pytest.mark.parametrize("kind", BASES)
def test_channels_whitened_apart_keep_to_themselves(kind: str) -> None:
    grid = Grid((8, 8))
    u = torch.randn(60, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    u[:, 1] += u[:, 0]
    together, apart = (BASES[kind].fit(u, grid, apart=one) for one in (False, True))
    assert apart.apart
    assert kind == "pca" or not together.apart
    x = apart.analyse(u, grid)
    torch.testing.assert_close(
        apart.synthesise(x, grid),
        together.synthesise(together.analyse(u, grid), grid),
        rtol=0,
        atol=1e-3,
    )
    changed = u.clone()
    changed[:, 0] = 0
    torch.testing.assert_close(apart.analyse(changed, grid)[:, 1], x[:, 1])
    assert float(x[:, :, apart.mask.all(0)].square().mean()) == pytest.approx(1, abs=0.05)
