"""Scores of any two ensembles given as labelled arrays, from anywhere.

What an ensemble is: an array with a dimension `member`, maybe `time`, and those of a grid, which
the coordinates or the caller describe: periodic, unless an attribute `boundary` says otherwise.
Ensembles of different resolution are the same kind of functions at other points: all are
restricted, mode by mode, to the coarsest grid. Arrays that are read lazily, from a disk or by
Dask, stay so: a block of members is read when it is scored.

Labels decide, not places: dimensions and variables go by their names, an axis may be stored
backwards, and of what is labelled with different times nothing is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import xarray as xr

from pushforward.distances import PAIRS
from pushforward.floors import Settings, examine
from pushforward.labels import aligned, by_time, of_one_time, step, variables_of
from pushforward.members import Members
from pushforward.solvers import Grid
from pushforward.solvers.grid import Boundary


def compare(
    a: xr.DataArray | xr.Dataset,
    b: xr.DataArray | xr.Dataset,
    *,
    reference: xr.DataArray | xr.Dataset,
    variable: str | Sequence[str] | None = None,
    grid: Grid | None = None,
    training: xr.DataArray | xr.Dataset | None = None,
    translations: bool = True,
    splits: int = 200,
    bootstrap: int = 200,
    seed: int = 0,
    pairs: int = PAIRS,
    workers: int = 1,
) -> xr.Dataset:
    """Scores ensemble a against b, with floors from solver members: a Dataset (variable, score).

    Dimensions are `member`, maybe `time`, and the grid's; a and b hold as many members each.
    `reference` holds at least as many members as a and b together, and none of them. `grid` is
    the box of a when its coordinates do not say it; different resolutions of one box are compared
    on the coarsest. `training` adds the memorisation ratio and the scores of proper orthogonal
    modes, which are fitted to it. Scores of pairs of members compare at most `pairs` of a side.
    `workers` > 1 uses as many processes, and Dask-backed arrays the cluster of a Dask client that
    is active: neither changes the result.

    Raises ValueError when the arrays do not fit together, and TypeError for what is no array of
    real numbers with named dimensions.

    >>> import numpy as np
    >>> normal = np.random.default_rng(0).normal(size=(64, 8, 8))
    >>> u = xr.DataArray(normal, dims=("member", "y", "x"))
    >>> scores = compare(u[:16], u[16:32], reference=u[32:], splits=50)
    >>> bool(scores.inside.sel(score="w1").item())
    True
    """
    settings = Settings(splits, bootstrap, seed, pairs, translations, workers=workers)
    given = {"a": a, "b": b, "reference": reference}
    if training is not None:
        given["training"] = training
    sets = _alike(given, [variable] if isinstance(variable, str) else variable)
    grids = {key: grid_of(next(iter(fields.values())), grid) for key, fields in sets.items()}
    target = common(*grids.values())
    members = {
        key: Members.labelled(list(fields.values()), grids[key], target)
        for key, fields in sets.items()
    }
    total = sum(map(len, members.values()))
    if total > 4 * PAIRS:  # what takes a second needs no bar
        settings = replace(settings, told="compare")
    found = examine(
        {"a": members["a"]},
        members["b"],
        members["reference"],
        target,
        list(sets["a"]),
        members.get("training"),
        settings,
    )
    return found.scores.isel(ensemble=0, drop=True)


def common(*grids: Grid) -> Grid:
    """The coarsest grid, axis by axis, of several over one box.

    >>> common(Grid((8, 16)), Grid((16, 16))).shape
    (8, 16)
    """
    boxes = {(grid.extent, grid.boundary) for grid in grids}
    if len(boxes) > 1:
        several = " and ".join(f"{extent} {boundary}" for extent, boundary in sorted(boxes))
        raise ValueError(f"expected one box, got {several}; rescale the coordinates or give grid=")
    shape = tuple(min(sizes) for sizes in zip(*(grid.shape for grid in grids), strict=True))
    return replace(grids[0], shape=shape)


def grid_of(fields: xr.DataArray, grid: Grid | None = None) -> Grid:
    """The grid of fields (member, *grid), from their coordinates or with the box of `grid`.

    Its boundary is the attribute of that name, of the coordinates or of the array. Raises
    ValueError for coordinates that are not equidistant.

    >>> import numpy as np
    >>> points = {"x": [0.0, 0.25, 0.5, 0.75]}
    >>> grid_of(xr.DataArray(np.zeros((2, 4)), dims=("member", "x"), coords=points)).extent
    (1.0,)
    """
    dims = [str(dim) for dim in fields.dims if dim != "member"]
    shape = tuple(fields.sizes[dim] for dim in dims)
    steps = {dim: step(dim, fields[dim].values) for dim in dims if dim in fields.coords}
    if grid is not None:
        return replace(grid, shape=shape)
    marked = [fields[dim].attrs for dim in dims if dim in fields.coords] + [fields.attrs]
    found = [about["boundary"] for about in marked if "boundary" in about]
    boundary = cast(Boundary, found[0] if found else "periodic")
    if not all(dim in fields.coords for dim in dims):
        return Grid(shape, boundary=boundary)
    # rounded: coordinates stored in single precision must not make two boxes of one
    extent = tuple(float(f"{steps[dim] * n:.6g}") for dim, n in zip(dims, shape, strict=True))
    return Grid(shape, extent, boundary)


def _alike(
    given: dict[str, xr.DataArray | xr.Dataset], names: Sequence[str] | None
) -> dict[str, dict[str, xr.DataArray]]:
    """The variables of every set by label; refused unless all sets have those of a."""
    sets = {key: _labelled(value, names, key) for key, value in given.items()}
    variables = list(sets["a"])
    for key, fields in sets.items():
        if {*fields} != {*variables}:
            raise ValueError(
                f"expected the variables {variables} of a in {key}, got {list(fields)}; "
                "choose common ones with variable= and common times with .sel(time=...)"
            )
    of_one_time(sets)
    like = sets["a"][variables[0]]
    if like.sizes["member"] < 2:
        raise ValueError("expected at least 2 members in a, got 1; give more of them")
    return {
        key: {name: aligned(fields[name], like, f"{name!r} of {key}") for name in variables}
        for key, fields in sets.items()
    }


def _labelled(
    given: xr.DataArray | xr.Dataset, names: Sequence[str] | None, key: str
) -> dict[str, xr.DataArray]:
    """Variables (member, *grid) by label; every time is a variable of its own."""
    given = variables_of(given, key)
    kept = names or [str(n) for n in given if given[n].ndim == max(x.ndim for x in given.values())]
    missing = [name for name in kept if name not in given or "member" not in given[name].dims]
    if missing:
        raise ValueError(
            f"expected {missing[0]!r} with a dimension member in {key}, got {dict(given.sizes)} "
            f"and variables {[str(name) for name in given]}; rename or choose with variable="
        )
    whole, fields = {k: v for k, v in given.attrs.items() if k == "boundary"}, {}
    for name in kept:
        array = given[name].assign_attrs(whole | given[name].attrs)
        fields |= by_time(name, array, key)
    return fields
