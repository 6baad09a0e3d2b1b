r"""Gaussian fields that papers draw their data and their noise from, by name.

Multilevel diffusion (section 5, and its code) colours white noise by one of three filters on the
unit box, or by a sum of two:

    bessel        (8 - Laplacian)^-0.55
    laplacian     (-Laplacian)^-0.55, without the mean
    fno           a Fourier layer's random weights R_k on a box of low waves
    combined      0.5 R + 10 (-Laplacian)^-0.55

It filters noise of unit variance at the N points of a grid: so its fields shrink like N^{-1/2} as
the grid is refined, at every point. Here a law's size does not depend on the grid: those fields
are these, divided by the square root of N. Its Laplacian is the five-point one, here it is |k|^2.

    Hagemann et al., Multilevel diffusion (2023), arXiv:2303.04772
    Li et al., Fourier neural operator (2021), arXiv:2010.08895
"""

from __future__ import annotations

from collections.abc import Sequence

from pushforward.solvers.gaussian_field import GaussianField


def fno_data(*, cutoff: int | None = None) -> GaussianField:
    """The initial vorticity of the FNO's Navier-Stokes data, for the unit torus.

    The published code draws N(0, 7^3 (-Laplacian + 49)^-2.5) without its mean: variance 0.0343.
    The paper writes 7^(3/2) where the code has 7^3, a variance 18.5 times smaller that no
    published data has. This is the code's.

    >>> from pushforward.solvers import Grid
    >>> round(fno_data().trace(Grid((64, 64), (1.0, 1.0))), 4)
    0.0343
    """
    return GaussianField.matern(2.5, 1 / 7, amplitude=7**1.5, cutoff=cutoff, mean=False)


def bessel(
    deviation: float | None = None, *, shift: float = 8.0, power: float = 0.55
) -> GaussianField:
    """The field (shift - Laplacian)^-power applied to white noise.

    >>> bessel().exponent, round(bessel().length**-2, 6)
    (1.1, 8.0)
    """
    return GaussianField.matern(2 * power, shift**-0.5, deviation)


def laplacian(
    deviation: float | None = None, *, amplitude: float = 20.0, power: float = 0.55
) -> GaussianField:
    """The field amplitude (-Laplacian)^-power applied to white noise, without its mean.

    >>> laplacian().exponent
    1.1
    """
    return GaussianField.power_law(2 * power, deviation, amplitude=amplitude)


def fno(
    modes: Sequence[int],
    deviation: float | None = None,
    *,
    law: int = 0,
    amplitude: float = 1.0,
) -> GaussianField:
    """The field of a random Fourier layer: spectrum amplitude^2 |R_k|^2 where |k_i| < modes_i.

    `law` is the seed of R (see `spectra`), one filter for all members. The field has finitely many
    waves and is not isotropic.

    >>> from pushforward.solvers import Grid
    >>> field = fno((8, 4), deviation=1.0)
    >>> [round(field.trace(Grid((n, n))), 12) for n in (16, 32)]
    [1.0, 1.0]
    """
    return GaussianField(
        "fno_random", amplitude=amplitude, deviation=deviation, modes=tuple(modes), law=law
    )


def combined(
    modes: Sequence[int],
    deviation: float | None = None,
    *,
    law: int = 0,
    share: float = 0.5,
    amplitude: float = 10.0,
    power: float = 0.55,
) -> GaussianField:
    """The field of two filters added: spectrum |share R_k + amplitude |k|^(-2 power)|^2.

    Both act on the same noise: where both are, their cross term counts.

    >>> combined((14, 14)).weight
    0.05
    """
    return GaussianField(
        "combined",
        exponent=2 * power,
        amplitude=amplitude,
        deviation=deviation,
        modes=tuple(modes),
        law=law,
        weight=share / amplitude,
    )
