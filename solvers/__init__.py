"""Gaussian fields, equations and exponential integrators on periodic grids: usable by itself.

Grid, GaussianField -> Equation (NavierStokes, GrayScott) -> integrate -> Problem; diagnostics
"""

from pushforward.solvers import diagnostics
from pushforward.solvers.equation import Equation
from pushforward.solvers.gaussian_field import GaussianField
from pushforward.solvers.grid import Grid
from pushforward.solvers.integrators import integrate
from pushforward.solvers.navier_stokes import NavierStokes, velocity
from pushforward.solvers.normals import Use, normals, uniforms
from pushforward.solvers.problem import Problem
from pushforward.solvers.reaction_diffusion import GrayScott

__all__ = [
    "Equation",
    "GaussianField",
    "GrayScott",
    "Grid",
    "NavierStokes",
    "Problem",
    "Use",
    "diagnostics",
    "integrate",
    "normals",
    "uniforms",
    "velocity",
]
