"""The engine "pushforward" of `xarray.open_dataset`: any ensemble of an archive, stored or not.

    xr.open_dataset("runs/training-...", engine="pushforward", members=1_000_000, grid=(128, 128))

A training opens as an ensemble of any size on any grid of its box, a generation as it is stored
or, with something changed, as what it would be then; a simulation as it is stored. What is not
stored is drawn where it is used (see `ensemble`).

Xarray loads all of its engines when it opens anything, so nothing heavy is imported here.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from xarray.backends import BackendEntrypoint

from pushforward import accessor as accessor  # what xarray opens can be asked

if TYPE_CHECKING:
    import xarray as xr

    from pushforward.archive import Archive
    from pushforward.generative import Sampler
    from pushforward.given import Given
    from pushforward.lineage import Spec
    from pushforward.solvers import Grid
    from pushforward.spec import Generation, Training

RUNS = "runs"  # the archive of a bare name, as on the command line
MOST = 2**32  # a member's number is one word of its noise's address
ENSEMBLE = re.compile(r"(simulation|training|generation)-[0-9a-f]{10}")


class PushforwardBackend(BackendEntrypoint):
    """Opens trainings, generations and simulations of an archive (see `open_dataset`)."""

    description: ClassVar[str] = "Ensembles of Pushforward: stored, or drawn where they are used"
    open_dataset_parameters: ClassVar[tuple[str, ...]] = (
        "filename_or_obj",
        "drop_variables",
        "root",
        "members",
        "grid",
        "seed",
        "sampler",
        "extend",
        "block",
        "batch",
        "device",
        "keep",
        "given",
        "deviation",
    )

    def open_dataset(  # type: ignore[override]
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        root: str | Path | None = None,
        members: int | None = None,
        grid: Sequence[int] | Mapping[str, Any] | Grid | None = None,
        seed: int | None = None,
        sampler: Mapping[str, Any] | Sampler | None = None,
        extend: bool | None = None,
        block: int | None = None,
        batch: int | None = None,
        device: str | None = None,
        keep: bool = False,
        given: xr.DataArray | xr.Dataset | None = None,
        deviation: float | Mapping[str, float] = 0.0,
    ) -> xr.Dataset:
        """The ensemble, of which nothing is computed.

        `filename_or_obj` is the folder or the URL of a result, or its name (its beginning will do)
        in the archive `root`, a folder or a URL, by default ``runs``. `members`, `grid` (points an
        axis), `seed`, `sampler`, `extend`, `batch` and `block` are those of a study's generation,
        and where they are left out those of the generation that is opened; a training wants
        `members`. `block` members are a task of Dask's. `device` computes, by default a GPU if
        there is one. `keep` stores the blocks that are drawn, as the generation that they are of.
        `given` are values of the ensemble's variables that are known, with noise of a `deviation`
        in their units, and the members are drawn given these (see `given`); they cannot be kept.

        Raises LookupError for what is not there or not complete, ValueError for what cannot be.
        """
        from pushforward.spec import Evaluation, Simulation

        asked = {
            **{"members": members, "grid": grid, "seed": seed, "sampler": sampler},
            **{"extend": extend, "block": block, "batch": batch},
        }
        changes = {key: value for key, value in asked.items() if value is not None}
        archive, name = located(filename_or_obj, root)
        spec = archive.stored(archive.find(name).name)
        drawn = changes or keep or given is not None
        if isinstance(spec, Evaluation) or (isinstance(spec, Simulation) and drawn):
            raise ValueError(
                f"expected a training or a generation to draw members of, got {spec.name}; open "
                f"{spec.upstream.name if spec.upstream else 'it as it is stored'}"
            )
        known = None
        if given is not None:
            from pushforward.given import Given

            known = Given.of(given, deviation)
        dataset = _opened(spec, archive, changes, device, keep, known)
        dataset.encoding["source"] = str(archive.folder(spec))
        dropped = [drop_variables] if isinstance(drop_variables, str) else drop_variables or ()
        return dataset.drop_vars(list(dropped), errors="ignore")

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Whether it is the folder of one of our ensembles, or its URL, with a spec in it."""
        if not isinstance(filename_or_obj, (str, os.PathLike)):
            return False
        text = str(filename_or_obj).rstrip("/")
        if not ENSEMBLE.fullmatch(text.replace(os.sep, "/").rpartition("/")[2]):
            return False
        from pushforward import files
        from pushforward.places import place

        return files.exists(place(text) / "spec.json")


def located(given: Any, root: str | Path | None = None) -> tuple[Archive, str]:
    """The archive, and the name in it, of a result that is given by its folder, URL or name.

    Xarray makes a path of a bare name by putting the working folder before it.

    Raises ValueError for a folder beside a `root` that it is not in.

    >>> located("training", "lab")
    (Archive('lab'), 'training')
    >>> located("memory://lab/runs/training-1a2b3c4d5e")
    (Archive('memory://lab/runs'), 'training-1a2b3c4d5e')
    """
    from pushforward import files
    from pushforward.archive import Archive
    from pushforward.places import absolute, place

    path = place(given.rstrip("/") if isinstance(given, str) else given)
    bare = isinstance(path, Path) and path.absolute().parent == Path.cwd()
    if root is None:
        here = not bare or files.exists(path / "spec.json")
        return Archive(path.parent if here else RUNS), path.name
    if not bare and absolute(path.parent) != absolute(place(root)):
        raise ValueError(
            f"expected the name of a result in root={root}, got {given}; leave one of the two out"
        )
    return Archive(place(root)), path.name


def _opened(
    spec: Spec,
    archive: Archive,
    changes: Mapping[str, Any],
    device: str | None,
    keep: bool,
    given: Given | None,
) -> xr.Dataset:
    """What is stored where that is it, else the virtual ensemble."""
    from pushforward.device import chosen
    from pushforward.ensemble import VirtualEnsemble
    from pushforward.spec import Generation, Training

    if not isinstance(spec, (Training, Generation)):
        return archive.open(spec.name)
    generation = changed(spec, changes)
    if given is not None and keep:
        raise ValueError(
            "expected keep=False for members that are drawn given something, which an archive has "
            "no name for, got keep=True; store them with .to_zarr"
        )
    if given is not None and generation.extend:
        raise ValueError(
            "expected extend=False for members that are drawn given something, which finer scales "
            "would change afterwards, got extend=True; leave one of the two out"
        )
    if given is None and archive.sealed(generation) and (keep or generation == spec):
        return archive.open(generation.name)
    archive.require(generation.training)
    chosen(device)  # is it there at all?
    where = archive.root
    where = where.absolute() if isinstance(where, Path) else where  # others work in other folders
    if given is not None:
        list(given.seen(generation.training))  # of this ensemble?
    return VirtualEnsemble(generation, where, device, keep, given).dataset()


def changed(spec: Training | Generation, changes: Mapping[str, Any]) -> Generation:
    """The ensemble of a training, or another one of a generation's; validated as in a study.

    A `block` that is given alone decides the batch, and a batch the block, where they must.

    Raises ValueError for what cannot be, and for a training without members.

    >>> from pushforward.study import Study
    >>> changed(Study.load("smoke").training, {"members": 10**6, "block": 12}).batch
    4
    """
    from pushforward.spec import Generation, Training

    values: dict[str, Any] = {"training": spec} if isinstance(spec, Training) else dict(spec)
    asked = dict(changes)
    if isinstance(spec, Training) and "members" not in asked:
        raise ValueError(
            f"expected members for {spec.name}, which has none of its own, got none; say how "
            "many, as in members=1_000_000"
        )
    if isinstance(asked.get("grid"), Sequence):
        asked["grid"] = {"shape": tuple(asked["grid"])}
    fields = Generation.model_fields
    batch, block = (values.get(key, fields[key].default) for key in ("batch", "block"))
    given = asked.get("block"), asked.get("batch")
    if isinstance(given[0], int) and given[1] is None:
        asked["batch"] = math.gcd(given[0], batch)
    if isinstance(given[1], int) and given[0] is None:
        asked["block"] = math.ceil(block / max(1, given[1])) * given[1]
    generation = Generation(**{**values, **asked})
    if generation.members > MOST:
        raise ValueError(
            f"expected at most 2^32 members, which have noise of their own, got "
            f"{generation.members}; lower members"
        )
    return generation
