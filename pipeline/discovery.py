"""What an ensemble says of itself: attributes by which people and tools find and cite it.

They follow the Climate and Forecast conventions (CF) and those for data discovery (ACDD). What
follows from the spec is stored with the arrays: title, summary, keywords, equation, id, source,
units and names of axes. When and by which code it was made differs from run to run of one result,
and stands in its manifest: an archive opens the same result as the same Dataset, and `made` adds
the rest where it is shown or handed on.

    CF: https://cfconventions.org/cf-conventions/cf-conventions.html
    ACDD: https://wiki.esipfed.org/Attribute_Convention_for_Data_Discovery_1-3
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import xarray as xr

from pushforward.solvers.source import Source

MEMBER = {"long_name": "number of the member", "standard_name": "realization", "units": "1"}


def physics(equation: Any, *keywords: str) -> dict[str, str]:
    """The attributes of what solves an equation, or was learnt from it.

    >>> from pushforward.solvers import NavierStokes
    >>> physics(NavierStokes(viscosity=1e-3), "solver")["keywords"]
    'navier_stokes, ensemble, solver'
    >>> physics(NavierStokes(viscosity=1e-3))["equation"].split(", ")[0]
    'navier_stokes: viscosity 0.001'

    What stands in an equation's place is said under its own name.

    >>> from pushforward.solvers import Interferograms
    >>> physics(Interferograms())["data"].split(": ")[0]
    'interferograms'
    """
    numbers = {one.name: getattr(equation, one.name) for one in fields(equation)}
    said = [f"{k} {v:g}" for k, v in numbers.items() if type(v) in (int, float)]
    words = [equation.kind, "ensemble", *keywords]
    about = f"{equation.kind}: {', '.join(said)}" if said else equation.kind
    key = "data" if isinstance(equation, Source) else "equation"
    return {"keywords": ", ".join(words), key: about}


def labelled(dataset: xr.Dataset) -> xr.Dataset:
    """The dataset with what earlier versions did not store of the member's coordinate.

    >>> labelled(xr.Dataset(coords={"member": [0, 1]})).member.attrs["standard_name"]
    'realization'
    """
    if "member" not in dataset.coords:
        return dataset
    member = dataset["member"]
    return dataset.assign_coords(member=member.assign_attrs(MEMBER | member.attrs))


def made(manifest: Mapping[str, Any], verb: str) -> dict[str, str]:
    """When, how and by what a result was made, as ACDD names it.

    >>> manifest = {"provenance": {"time": "2026-11-29T06:00:00+00:00", "code": {"version": "1"}}}
    >>> made(manifest, "simulate")["history"]
    '2026-11-29T06:00:00+00:00: simulate, pushforward 1'
    """
    about = manifest.get("provenance", {})
    time, code = about.get("time"), about.get("code") or {}
    known = {"date_created": time, "product_version": code.get("version")}
    by = " ".join(
        str(one) for one in ("pushforward", code.get("version"), code.get("commit")) if one
    )
    known["history"] = f"{time}: {verb}, {by}" if time else None
    return {key: value for key, value in known.items() if value}
