"""Gaussian fields, equations and exponential integrators on boxes: usable by itself.

Grid; Law; GaussianField, StationaryField, RandomBumps, RandomCells     what is drawn, and where
NavierStokes, GrayScott, FitzHughNagumo, AllenCahn, Burgers, ...    equations (`Equation`)
Darcy                                                               (`EllipticEquation`)
GaussianMixture, Interferograms                                     data that are drawn
integrate, evolve, Wiener -> Solution                               time (torch, or `kernels`)
Problem                                                             all of it, as one value
diagnostics, priors, energy_budget, enstrophy_budget                what one measures
"""

from pushforward.solvers import diagnostics, priors
from pushforward.solvers.allen_cahn import AllenCahn
from pushforward.solvers.budgets import Budget, energy_budget, enstrophy_budget, quadrature
from pushforward.solvers.burgers import Burgers
from pushforward.solvers.circulant import StationaryField
from pushforward.solvers.darcy import Darcy
from pushforward.solvers.elliptic import EllipticEquation
from pushforward.solvers.equation import Equation
from pushforward.solvers.fitzhugh_nagumo import FitzHughNagumo, FitzHughNagumoCells
from pushforward.solvers.gaussian_field import GaussianField
from pushforward.solvers.gaussian_mixture import GaussianMixture, Ramp
from pushforward.solvers.gray_scott import GrayScott
from pushforward.solvers.grid import Grid
from pushforward.solvers.integrators import evolve, integrate
from pushforward.solvers.interferograms import Interferograms
from pushforward.solvers.kdv import KortewegDeVries
from pushforward.solvers.law import Law
from pushforward.solvers.navier_stokes import NavierStokes, velocity
from pushforward.solvers.normals import Use, normals, uniforms
from pushforward.solvers.problem import Problem
from pushforward.solvers.random_bumps import RandomBumps
from pushforward.solvers.random_cells import RandomCells
from pushforward.solvers.solution import Solution
from pushforward.solvers.tail import ResolutionWarning
from pushforward.solvers.wiener import Wiener

__all__ = [
    "AllenCahn",
    "Budget",
    "Burgers",
    "Darcy",
    "EllipticEquation",
    "Equation",
    "FitzHughNagumo",
    "FitzHughNagumoCells",
    "GaussianField",
    "GaussianMixture",
    "GrayScott",
    "Grid",
    "Interferograms",
    "KortewegDeVries",
    "Law",
    "NavierStokes",
    "Problem",
    "Ramp",
    "RandomBumps",
    "RandomCells",
    "ResolutionWarning",
    "Solution",
    "StationaryField",
    "Use",
    "Wiener",
    "diagnostics",
    "energy_budget",
    "enstrophy_budget",
    "evolve",
    "integrate",
    "normals",
    "priors",
    "quadrature",
    "uniforms",
    "velocity",
]
