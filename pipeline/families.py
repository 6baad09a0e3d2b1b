"""What a study can choose from by its kind: equations, sources of data, laws of initial states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from pushforward.images import Images
from pushforward.mistakes import kinds
from pushforward.solvers import GaussianField, GrayScott, NavierStokes
from pushforward.solvers.allen_cahn import AllenCahn
from pushforward.solvers.burgers import Burgers
from pushforward.solvers.circulant import StationaryField
from pushforward.solvers.darcy import Darcy
from pushforward.solvers.fitzhugh_nagumo import FitzHughNagumo, FitzHughNagumoCells
from pushforward.solvers.gaussian_mixture import GaussianMixture
from pushforward.solvers.interferograms import Interferograms
from pushforward.solvers.kdv import KortewegDeVries
from pushforward.solvers.random_bumps import RandomBumps
from pushforward.solvers.random_cells import RandomCells

AnyEquation = Annotated[
    NavierStokes
    | GrayScott
    | FitzHughNagumo
    | FitzHughNagumoCells
    | AllenCahn
    | Burgers
    | KortewegDeVries
    | Darcy,
    Field(discriminator="kind"),
]
AnySource = Annotated[GaussianMixture | Interferograms | Images, Field(discriminator="kind")]
LAWS = {
    kind: law.__name__
    for law in (GaussianField, StationaryField, RandomBumps, RandomCells)
    for kind in kinds(law)
}


def _law(value: Any) -> str | None:
    """The class that a law's kind belongs to; pydantic's own discriminator wants a kind each."""
    kind = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
    return LAWS.get(str(kind), kind)


Law = Annotated[
    Annotated[GaussianField, Tag("GaussianField")]
    | Annotated[StationaryField, Tag("StationaryField")]
    | Annotated[RandomBumps, Tag("RandomBumps")]
    | Annotated[RandomCells, Tag("RandomCells")],
    Discriminator(_law),
]
