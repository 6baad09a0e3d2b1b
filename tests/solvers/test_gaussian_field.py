"""Gaussian fields: the law of the draws, one function on every grid, colouring and its inverse."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pushforward.solvers import GaussianField, Grid, Use, diagnostics, priors
from pushforward.solvers.white_noise import white

MEMBERS = 400
FIELDS = {
    "matern": GaussianField.matern(2.5, 0.4, amplitude=3.0),
    "matern of given deviation": GaussianField.matern(3.0, 0.3, deviation=2.0, cutoff=9),
    "squared exponential": GaussianField.squared_exponential(0.4, deviation=1.5),
    "power law": GaussianField.power_law(2.0, deviation=1.0),
    "no mean": GaussianField.matern(2.0, 1.0, mean=False),
    "exponential": GaussianField.exponential(1.5, deviation=0.7),
    "tabulated": GaussianField.tabulated([(0.5, 2.0), (3.0, 1.0), (40.0, 1e-4)], amplitude=0.5),
}
WALLS = {
    1: Grid((33,), (3.0,), "neumann"),
    2: Grid((24, 31), (2 * math.pi, 4.0), "neumann"),
    3: Grid((8, 9, 12), boundary="neumann"),
}
quick = settings(max_examples=25, deadline=None, derandomize=True)
GRIDS = {1: Grid((32,), (3.0,)), 2: Grid((24, 32), (2 * math.pi, 4.0)), 3: Grid((8, 10, 12))}


def refuted(u: torch.Tensor, field: GaussianField, grid: Grid) -> bool:
    """Whether some shell's mean power lies beyond 4 standard errors of what the symbol says.

    A wave's power has variance c^2 (2 c^2 where the coefficient is real); a pair counts twice, and
    between walls all are real and count once.
    """
    symbol = field.symbol(grid)
    expected = diagnostics.shell_sums(symbol, grid)
    error = (2 * diagnostics.shell_sums(symbol**2, grid) / len(u)).sqrt()
    power = diagnostics.power_spectrum(u, grid).mean(0)
    return bool(((power - expected).abs() > 4 * error + 1e-12 * expected.sum()).any())


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("name", FIELDS)
def test_spectrum_of_draws_is_the_symbol(name: str, ndim: int) -> None:
    field, grid = FIELDS[name], GRIDS[ndim]
    u = field.sample(range(MEMBERS), grid, seed=1)
    assert u.dtype == torch.float64
    assert not refuted(u, field, grid)


@pytest.mark.parametrize(
    "wrong",
    [
        GaussianField.matern(2.7, 0.4, amplitude=3.0),
        GaussianField.matern(2.5, 0.45, amplitude=3.0),
        GaussianField.matern(2.5, 0.4, amplitude=3.2),
        GaussianField.matern(2.5, 0.4, amplitude=3.0, mean=False),
    ],
)
def test_wrong_spectrum_is_refuted(wrong: GaussianField) -> None:
    u = FIELDS["matern"].sample(range(MEMBERS), GRIDS[2], seed=1)
    assert refuted(u, wrong, GRIDS[2])


def test_draws_are_gaussian_and_centred_at_a_point() -> None:
    grid = GRIDS[2]
    u = FIELDS["matern"].sample(range(4000), grid, seed=2)[:, 3, 5]
    u = u / math.sqrt(FIELDS["matern"].trace(grid))
    for power, expected, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((u**power).mean() - expected) < 4 * math.sqrt(variance / len(u))


def test_members_seeds_and_uses_are_independent() -> None:
    field, grid = FIELDS["no mean"], Grid((16, 16))
    u = field.sample(range(MEMBERS), grid)
    others = [
        u.roll(1, 0),
        field.sample(range(MEMBERS), grid, seed=1),
        field.sample(range(MEMBERS), grid, use=Use.FORCING),
    ]
    # the correlation over the box has variance sum c^2 / (sum c)^2 for independent fields
    symbol, count = field.symbol(grid), grid.multiplicity()
    error = math.sqrt((symbol**2 * count).sum() / (symbol * count).sum() ** 2 / MEMBERS)
    for v in others:
        assert abs((u * v).mean() / field.trace(grid)) < 4 * error
    assert abs((u * (others[0] + 0.5 * u)).mean() / field.trace(grid)) > 4 * error


@pytest.mark.parametrize("name", FIELDS)
def test_variance_at_a_point_does_not_depend_on_the_grid(name: str) -> None:
    traces = [FIELDS[name].trace(Grid((n, n))) for n in (64, 128, 256)]
    steps = np.abs(np.diff(traces))
    assert steps[1] <= steps[0] / 1.9 + 1e-12  # the tail of a trace-class spectrum, and no more
    assert traces[0] == pytest.approx(traces[-1], rel=0.02)


@pytest.mark.parametrize("deviation", [0.5, 2.0])
@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_deviation_is_the_one_asked_for(deviation: float, ndim: int) -> None:
    grid = GRIDS[ndim]
    for field in (
        GaussianField.matern(2.0, 0.5, deviation=deviation, cutoff=3),
        GaussianField.squared_exponential(1.5, deviation=deviation),
        GaussianField.power_law(2.0, deviation=deviation, cutoff=3),
    ):
        assert field.trace(grid) == pytest.approx(deviation**2, rel=1e-6)


def test_amplitude_has_the_same_meaning_on_every_box() -> None:
    """For a length far below the box the variance is the integral of c(k) dk / (2 pi)^d."""
    s, tau = 2.0, 8.0
    whole_plane = s**2 / (4 * math.pi * tau**2)  # alpha = 2, d = 2
    for side in (2 * math.pi, 9.0):
        field = GaussianField.matern(2.0, 1 / tau, amplitude=s)
        assert field.trace(Grid((512, 512), (side, side))) == pytest.approx(whole_plane, rel=2e-2)


def test_drawn_variance_is_the_law_s_within_a_percent() -> None:
    """The law of the FNO data sets as its code has it; the paper's is 18.5 times weaker."""
    field = GaussianField.matern(2.5, 1 / 7, amplitude=7**1.5, mean=False)
    grid, count = Grid((16, 16), (1.0, 1.0)), 32768
    known = field.trace(grid)
    parts = [field.sample(range(i, i + 4096), grid).square().mean() for i in range(0, count, 4096)]
    drawn = float(torch.stack(parts).mean())
    symbol, doubled = field.symbol(grid), grid.multiplicity()
    error = math.sqrt(2 * (symbol**2 * doubled).sum() / count) / known  # of the relative variance
    assert 4 * error < 0.01
    assert abs(drawn / known - 1) < 4 * error
    paper = GaussianField.matern(2.5, 1 / 7, amplitude=7**0.75, mean=False)
    assert abs(drawn / paper.trace(grid) - 1) > 0.01


def test_law_of_the_fno_data_sets_has_its_known_variance() -> None:
    """7^3 (-Laplacian + 49)^-2.5 on the unit torus without its mean."""
    field = GaussianField.matern(2.5, 1 / 7, amplitude=7**1.5, mean=False)
    grid = Grid((256, 256), (1.0, 1.0))
    k = np.arange(-400, 401)
    k2 = (k[:, None] ** 2 + k**2).astype(float)
    theory = (7**3 * (4 * np.pi**2 * k2 + 49) ** -2.5).sum() - 7**3 * 49**-2.5
    assert theory == pytest.approx(0.03431, abs=5e-6)
    assert field.trace(grid) == pytest.approx(theory, rel=1e-5)
    with_mean = GaussianField.matern(2.5, 1 / 7, amplitude=7**1.5)
    assert with_mean.trace(grid) - theory == pytest.approx(7**3 * 49**-2.5, rel=1e-4)


def test_same_seed_is_the_same_function_on_both_grids() -> None:
    field = GaussianField.matern(2.0, 0.3, deviation=1.0, cutoff=20)
    coarse, fine = (field.sample([0, 7], Grid((n, n)), seed=3) for n in (64, 128))
    torch.testing.assert_close(fine[:, ::2, ::2], coarse, rtol=0, atol=1e-12)
    other = field.sample([0, 7], Grid((128, 128)), seed=4)
    assert (other[:, ::2, ::2] - coarse).abs().max() > 0.1


def test_without_a_cutoff_the_finer_grid_adds_waves_only() -> None:
    field = GaussianField.matern(2.0, 0.3)
    small, large = Grid((16, 20)), Grid((32, 48))
    u, v = (field.sample([5], grid) for grid in (small, large))
    torch.testing.assert_close(large.resample(v, small), u, rtol=0, atol=1e-13)
    assert (large.resample(v, small) - v[:, ::2, :40:2]).abs().max() > 1e-4


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_white_coefficients_are_hermitian(ndim: int) -> None:
    grid = GRIDS[ndim]
    w = white(range(3), grid)
    u = grid.ifft(w)
    torch.testing.assert_close(grid.fft(u), w, rtol=0, atol=1e-13)
    power = (w.abs().square() * grid.multiplicity()).sum(grid.axes)
    torch.testing.assert_close(u.square().mean(grid.axes), power)


@pytest.mark.parametrize("name", ["matern", "matern of given deviation", "no mean"])
def test_whitening_undoes_colouring(name: str) -> None:
    field, grid = FIELDS[name], GRIDS[2]
    w = white(range(4), grid) * (field.symbol(grid) > 0)
    torch.testing.assert_close(field.whiten(field.color(w, grid), grid), w, rtol=0, atol=1e-9)
    u = field.sample(range(4), grid)
    torch.testing.assert_close(field.color(field.whiten(u, grid), grid), u, rtol=0, atol=1e-12)


def test_cameron_martin_norm_of_draws_counts_the_waves() -> None:
    """E |C^{-1/2} u|^2 is the number of waves: without end for draws, not for a smooth field."""
    field = GaussianField.matern(2.0, 0.5)
    norms, smooth = [], []
    for n in (16, 32, 64):
        grid = Grid((n, n))
        squares = field.norm(field.sample(range(200), grid), grid) ** 2
        waves = float((grid.resolved() * grid.multiplicity()).sum())
        assert abs(squares.mean() - waves) < 4 * math.sqrt(2 * waves / 200)
        norms.append(float(squares.mean()))
        wave = torch.cos(grid.coordinates()[0])[:, None].expand(n, n)
        smooth.append(float(field.norm(wave, grid)))
    assert norms[2] > 3 * norms[1] > 9 * norms[0]
    assert smooth == pytest.approx([smooth[0]] * 3, rel=1e-9)
    # c(1) = (1 + 4)^-2 per volume, mean square 1/2
    assert smooth[0] == pytest.approx(math.sqrt(0.5 * 25 * (2 * math.pi) ** 2), rel=1e-9)


@pytest.mark.parametrize("length", [0.3, 0.8])
def test_covariance_of_the_squared_exponential_is_its_wrapped_kernel(length: float) -> None:
    grid, box = Grid((64, 64)), 2 * math.pi
    field = GaussianField.squared_exponential(length, deviation=1.0)
    covariance = grid.ifft(
        field.symbol(grid).to(torch.complex128)
    )  # u_k independent: Wiener-Khinchin
    y, x = (c.numpy() for c in grid.coordinates())
    images = [
        np.exp(-((y[:, None] + i * box) ** 2 + (x + j * box) ** 2) / (2 * length**2))
        for i in (-2, -1, 0, 1, 2)
        for j in (-2, -1, 0, 1, 2)
    ]
    kernel = np.sum(images, axis=0)
    np.testing.assert_allclose(covariance, kernel / kernel[0, 0], atol=1e-12)
    u = field.sample(range(1000), grid, seed=5)
    product = u[:, 0, 0] * u[:, 3, 4]
    expected = float(covariance[3, 4])
    assert abs(product.mean() - expected) < 4 * math.sqrt((1 + expected**2) / len(u))


def test_amplitude_of_the_squared_exponential_is_its_kernel_at_zero() -> None:
    field = GaussianField("squared_exponential", length=0.3, amplitude=2.0)
    for ndim, n in ((1, 64), (2, 64), (3, 48)):
        assert field.trace(Grid((n,) * ndim)) == pytest.approx(4.0, rel=1e-5)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_spectra_that_are_not_of_trace_class_are_refused(ndim: int) -> None:
    grid = GRIDS[ndim]
    for build in (
        lambda alpha, **more: GaussianField.matern(alpha, 1.0, **more),
        GaussianField.power_law,
    ):
        with pytest.raises(ValueError, match="trace class"):
            build(ndim / 2).sample([0], grid)
        assert torch.isfinite(build(ndim / 2, cutoff=3).sample([0], grid)).all()
        assert torch.isfinite(build(ndim / 2 + 0.1).sample([0], grid)).all()


def test_bad_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="length > 0"):
        GaussianField.matern(2.0, 0.0)
    with pytest.raises(ValueError, match="length > 0"):
        GaussianField.squared_exponential(1.0, deviation=-1.0)
    with pytest.raises(ValueError, match="cutoff of at least 1"):
        GaussianField.power_law(2.0, cutoff=0)
    with pytest.raises(ValueError, match="at least two rows"):
        GaussianField("tabulated")
    unknown = GaussianField.power_law(2.0)
    object.__setattr__(unknown, "kind", "white")  # past the type checker that tests run with
    with pytest.raises(ValueError, match="expected a field of kind matern"):
        unknown.__post_init__()


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("name", FIELDS)
def test_spectrum_of_draws_between_walls_is_the_symbol(name: str, ndim: int) -> None:
    field, grid = FIELDS[name], WALLS[ndim]
    u = field.sample(range(MEMBERS), grid, seed=1)
    assert not refuted(u, field, grid)
    assert refuted(u, GaussianField.matern(2.2, 0.41), grid)


def test_fields_between_walls_are_the_whole_spaces_folded() -> None:
    """C(x, y) = sum of K(x - y + 2 n L) and K(x + y + 2 n L), for each axis of a product."""
    grid = Grid((12, 9), (1.5, 1.0), "neumann")
    field = GaussianField("squared_exponential", length=0.3, amplitude=1.3)

    def folded(x: np.ndarray, length: float) -> np.ndarray:
        images = [
            np.exp(-((x[:, None] + sign * x + 2 * n * length) ** 2) / (2 * 0.3**2))
            for n in range(-3, 4)
            for sign in (1, -1)
        ]
        return np.sum(images, axis=0)

    y, x = (c.numpy() for c in grid.coordinates())
    expected = 1.3**2 * np.kron(folded(y, 1.5), folded(x, 1.0))
    basis = grid.ifft(torch.eye(grid.size).double().view(-1, *grid.shape)).flatten(1)
    exact = (basis.T * field.symbol(grid).flatten()) @ basis
    np.testing.assert_allclose(exact, expected, atol=1e-6 * expected.max())
    u = field.sample(range(3000), grid, seed=4).flatten(1).numpy()
    found = u.T @ u / 3000
    variance = np.diag(expected)
    error = np.sqrt((np.outer(variance, variance) + expected**2) / 3000)
    assert (np.abs(found - expected) < 5 * error).all()
    unfolded = expected[58, 58]  # the middle, (6, 4); a corner has four times that
    assert variance[0] > 2.5 * unfolded
    assert (np.abs(found - unfolded) > 5 * error)[0, 0]


def test_the_deviation_between_walls_is_the_mean_over_space() -> None:
    grid = WALLS[2]
    field = GaussianField.matern(3.0, 0.5, deviation=1.5, cutoff=20)
    assert field.trace(grid) == pytest.approx(1.5**2, rel=1e-9)
    square = field.sample(range(800), grid, seed=2).square().mean((1, 2))
    assert abs(square.mean() - 2.25) < 4 * square.std() / math.sqrt(800)
    assert square.std() / math.sqrt(800) < 0.05 * 2.25


@pytest.mark.parametrize("name", FIELDS)
def test_draws_between_walls_are_one_function_on_nested_grids(name: str) -> None:
    coarse, fine = (Grid((n, n + 1), (1.0, 2.0), "neumann") for n in (9, 27))
    u, v = (FIELDS[name].sample([5, 2], grid, seed=3) for grid in (coarse, fine))
    torch.testing.assert_close(fine.resample(v, coarse), u, rtol=0, atol=1e-12)
    cut = GaussianField.matern(2.0, 0.3, cutoff=8)
    coarse, fine = (Grid((n, n), (1.0, 2.0), "neumann") for n in (9, 27))
    u, v = (cut.sample([5], grid, seed=3) for grid in (coarse, fine))
    torch.testing.assert_close(v[:, 1::3, 1::3], u, rtol=0, atol=1e-12)
    assert (v[:, ::3, ::3] - u).abs().max() > 1e-3


@pytest.mark.parametrize("grid", [GRIDS[2], WALLS[2]], ids=["periodic", "neumann"])
@pytest.mark.parametrize("name", ["matern", "power law", "tabulated", "matern of given deviation"])
@given(a=st.floats(-1, 1), b=st.floats(-1, 1))
@quick
def test_powers_of_the_covariance_are_a_group(name: str, grid: Grid, a: float, b: float) -> None:
    field = FIELDS[name]
    u = field.sample([1], grid)
    both = field.power(field.power(u, grid, a), grid, b)
    size = field.power(u, grid, a + b).abs().max()
    torch.testing.assert_close(both, field.power(u, grid, a + b), rtol=0, atol=1e-8 * float(size))


@pytest.mark.parametrize("grid", [GRIDS[2], WALLS[2]], ids=["periodic", "neumann"])
def test_powers_colour_whiten_and_drop_what_the_field_has_not(grid: Grid) -> None:
    field = FIELDS["matern of given deviation"]
    w = white([3], grid, seed=8)
    noise = grid.ifft(w)
    coloured = field.power(noise, grid, 0.5)
    torch.testing.assert_close(coloured, field.color(w, grid), rtol=0, atol=1e-12)
    torch.testing.assert_close(coloured, field.sample([3], grid, seed=8), rtol=0, atol=1e-12)
    back = grid.fft(field.power(coloured, grid, -0.5))
    torch.testing.assert_close(back, field.whiten(coloured, grid), rtol=0, atol=1e-9)
    mean_square = field.power(coloured, grid, -0.5).square().mean(grid.axes)
    torch.testing.assert_close(mean_square.sqrt(), field.norm(coloured, grid))
    kept = field.power(noise, grid, 0.0)
    torch.testing.assert_close(field.power(kept, grid, 0.0), kept, rtol=0, atol=1e-12)
    beyond = grid.fft(kept) * (field.symbol(grid) == 0)
    assert beyond.abs().max() < 1e-14
    assert (noise - kept).abs().max() > 0.1
    assert field.power(torch.ones(1, *grid.shape).double(), grid, -2.0).isfinite().all()


@given(
    field=st.sampled_from([*FIELDS.values(), priors.fno((3, 3)), priors.combined((3, 4))]),
    shape=st.tuples(st.integers(4, 12), st.integers(4, 12)),
    boundary=st.sampled_from(["periodic", "neumann"]),
    members=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4, unique=True),
)
@quick
def test_a_member_is_the_same_bits_in_any_company(field, shape, boundary, members) -> None:
    if boundary == "periodic":
        shape = tuple(2 * n for n in shape)
    grid = Grid(shape, (1.0, 2.0), boundary)
    u = field.sample(members, grid, seed=9)
    assert u.isfinite().all()
    for place, member in enumerate(members):
        assert torch.equal(field.sample([member], grid, seed=9)[0], u[place])
    assert float(field.symbol(grid).min()) >= 0


def test_shares_of_waves_between_walls_sum_to_one() -> None:
    grid = Grid((64, 64), (1.0, 2.0), "neumann")
    for field in (GaussianField.squared_exponential(0.3), GaussianField.matern(3.0, 0.3)):
        share = field.log_share((-grid.laplacian()).sqrt(), grid.extent, "neumann").exp().sum()
        assert share == pytest.approx(1, rel=1e-4)
        share = field.log_share((-grid.laplacian()).sqrt(), grid.extent).exp().sum()
        assert share != pytest.approx(1, rel=1e-2)
