"""A study as one tree: what the solver made, what was generated, and the scores of both.

    /solver       the simulation's arrays
    /generated    the generation's
    /scores       the evaluation's (ensemble, variable, score)

Each node has its own coordinates: grids and members may differ, and nothing is inherited. The
root's attributes name the results, and those that are `missing`; the nodes also say when and by
which code they were made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xarray as xr

from pushforward.discovery import made
from pushforward.lineage import Spec
from pushforward.outcome import FILE
from pushforward.study import Study
from pushforward.tables import restore

if TYPE_CHECKING:
    from pushforward.archive import Archive

NODES = {"simulation": "solver", "generation": "generated", "evaluation": "scores"}


def tree(archive: Archive, of: Study | Spec | str, **options: Any) -> xr.DataTree:
    """What is complete of a study, of a spec's lineage or of a result's name; arrays are lazy.

    `options` go to `xr.open_zarr`. Raises LookupError, with what to run, if nothing is complete.

    >>> from pushforward.archive import Archive
    >>> tree(Archive("nowhere"), Study.load("smoke"))
    Traceback (most recent call last):
    LookupError: simulation-... is not in nowhere; run simulate(study.simulation, archive) first
    """
    last = of.evaluation if isinstance(of, Study) else of
    specs = _lineage(archive.stored(last) if isinstance(last, str) else last)
    there = {kind: spec for kind, spec in specs.items() if archive.sealed(spec)}
    wanted = [kind for kind in specs if kind in NODES]
    if not any(kind in there for kind in wanted):
        archive.require(specs[wanted[0]])
    about: dict[str, Any] = {kind: spec.name for kind, spec in specs.items()}
    about |= {"title": of.title} if isinstance(of, Study) else {}
    if missing := [spec.name for kind, spec in specs.items() if kind not in there]:
        about["missing"] = ", ".join(missing)
    nodes = {"/": xr.Dataset(attrs=about)}
    for kind in wanted:
        if kind not in there:
            continue
        spec = there[kind]
        if kind == "evaluation":
            node = restore(archive.read_json(spec, FILE))
        else:
            node = archive.open(spec, **options)
        nodes[NODES[kind]] = node.assign_attrs(made(archive.manifest(spec), spec.verb))
    return xr.DataTree.from_dict(nodes)


def _lineage(spec: Spec) -> dict[str, Spec]:
    """A spec and all that it is made from, by kind, upstream first."""
    found = {spec.kind: spec}
    while spec.upstream is not None:
        spec = spec.upstream
        found[spec.kind] = spec
    return dict(reversed(found.items()))
