r"""Fields on the smallest grid that holds all of their waves, and opened on the full one.

A solver that dealiases by the 2/3 rule leaves the waves |k_i| < N_i / 3 of a periodic grid, and
the cosines of k_i < 2 N_i / 3 half waves between walls: the grids of 2 ceil(N_i / 3) and
ceil(2 N_i / 3) points an axis hold them all, and take 2.2 times fewer bytes in two dimensions.
Moving between the two grids is a matter of coefficients, so nothing is lost but round-off; it is
computed in float64 and rounded once.

What lies on the disk is an ordinary group on the smaller grid (`Simulation.stored_on`), which says
so in its attributes. `Critical` is the engine by which xarray opens it: variables are refined when
they are read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing

from pushforward.layout import AXES
from pushforward.places import Place, store
from pushforward.solvers import Grid


def move(values: NDArray[Any], source: Grid, target: Grid) -> NDArray[Any]:
    """Fields (..., *source.shape) as the same functions on the target, in their own type.

    >>> coarse, fine = Grid((8,)), Grid((12,))
    >>> wave = np.cos(coarse.coordinates()[0].numpy())
    >>> bool(np.allclose(move(wave, coarse, fine)[6], -1))
    True
    """
    if source == target:
        return values
    fields = torch.from_numpy(np.ascontiguousarray(values)).double()
    return source.resample(fields, target).numpy().astype(values.dtype)


def attributes(full: Grid, stored: Grid) -> dict[str, Any]:
    """What a group says of itself when its fields are stored on the critical grid."""
    return {
        "storage": f"critical: fields of {_size(full)} points on the {_size(stored)} that hold "
        "all of their waves",
        "full_shape": list(full.shape),
    }


def opened(path: Place, **options: Any) -> xr.Dataset:
    """The fields of a group, on their full grid, read when they are used."""
    source = store(path)
    dataset = xr.open_zarr(
        source, **{"consolidated": False, "chunks": None, "zarr_format": 3, **options}
    )
    if "full_shape" not in dataset.attrs:
        return dataset
    return xr.open_dataset(source, engine=Critical, **{"chunks": None, **options})


class Critical(BackendEntrypoint):
    """The engine of `xarray.open_dataset` for fields on the critical grid."""

    def open_dataset(  # type: ignore[override]
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        **options: Any,
    ) -> xr.Dataset:
        stored = xr.open_zarr(
            filename_or_obj,
            consolidated=False,
            chunks=None,
            zarr_format=3,
            drop_variables=drop_variables,
            **options,
        )
        attrs = dict(stored.attrs)
        extent = tuple(attrs["box_extent"])
        full = Grid(tuple(attrs.pop("full_shape")), extent, attrs["boundary"])
        space = AXES[-full.ndim :]
        small = replace(full, shape=tuple(stored.sizes[axis] for axis in space))
        points = dict(zip(space, full.coordinates(), strict=True))
        coordinates = {
            name: (one.dims, points[name].numpy() if name in points else one.values, one.attrs)
            for name, one in stored.coords.items()
        }
        variables = {name: _refined(one, small, full) for name, one in stored.items()}
        return xr.Dataset(variables, coordinates, attrs)


class _Refined(BackendArray):
    """Fields (..., *stored grid) on a disk, seen as fields (..., *full grid)."""

    def __init__(self, stored: xr.Variable, source: Grid, target: Grid) -> None:
        self.stored, self.source, self.target = stored, source, target
        self.shape = (*stored.shape[: -source.ndim], *target.shape)
        self.dtype = stored.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> NDArray[Any]:
        support = indexing.IndexingSupport.BASIC
        return indexing.explicit_indexing_adapter(key, self.shape, support, self._read)

    def _read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        split = len(self.shape) - self.source.ndim
        fields = move(self.stored[key[:split]].values, self.source, self.target)
        return fields[(..., *key[split:])]


def _refined(stored: xr.DataArray, source: Grid, target: Grid) -> xr.Variable:
    lazy = indexing.LazilyIndexedArray(_Refined(stored.variable, source, target))
    ndim, encoding = source.ndim, stored.encoding
    chunks = encoding.get("preferred_chunks", {})
    whole = {name: n for name, n in zip(AXES[-ndim:], target.shape, strict=True)}
    return xr.Variable(
        stored.dims,
        lazy,
        stored.attrs,
        encoding={"preferred_chunks": {**chunks, **whole}},
    )


def _size(grid: Grid) -> str:
    return "x".join(map(str, grid.shape))
