"""Pictures of what an archive holds: which ones there are of a result, and where they are put.

    simulation, generation   a contact sheet, and an animation where there are several times
    training                 its learning curve
    evaluation               the solver's members, the surrogate's below, and its Gaussian start

They are no part of a result, which is sealed: they are written elsewhere, named as the result.
A file of that name is replaced if it is such a picture, and nothing else ever is.
"""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from pushforward.archive import Archive
from pushforward.curve import FILE
from pushforward.evaluation import labels
from pushforward.layout import AXES
from pushforward.pictures import animation, contact_sheet, learning_curve, ours, save
from pushforward.samples import samples
from pushforward.spec import Evaluation, Training

ENSEMBLES = {"solver": "solver", "trained": "surrogate", "gaussian": "Gaussian"}


def draw(name: str, archive: Archive, folder: Path) -> list[Path]:
    """Writes the pictures of a complete result into a folder; returns their paths.

    A training without steps has none. Raises LookupError when the result is not complete, or what
    an evaluation compared is not there any more; FileExistsError where another file has the name
    of a picture.

    >>> import tempfile
    >>> from pushforward import Study, simulate
    >>> study, archive = Study.load("smoke").smoke(), Archive(tempfile.mkdtemp())
    >>> name = simulate(study.simulation, archive)
    >>> [path.suffix for path in draw(name, archive, Path(tempfile.mkdtemp()))]
    ['.png', '.gif']
    """
    archive.require(name)
    sheet, moving = _free(folder / f"{name}.png"), _free(folder / f"{name}.gif")
    spec = archive.stored(name)
    if isinstance(spec, Training):
        lines = archive.read_lines(name, FILE)
        return [save(learning_curve(lines, title=f"Loss of {name}"), sheet)] if lines else []
    if isinstance(spec, Evaluation):
        fields = _compared(spec, archive)
        return [save(contact_sheet(fields, title=f"What {name} compares"), sheet)]
    dataset = archive.open(name)
    title = f"{dataset.attrs['title']}: {name}"
    drawn = [save(contact_sheet(dataset, title=title), sheet)]
    if dataset.sizes["time"] > 1:
        drawn.append(animation(dataset, moving, title=title))
    return drawn


def _free(path: Path) -> Path:
    """The path, refused where something else than a picture of ours is there."""
    if path.exists() and not ours(path):
        raise FileExistsError(
            f"expected no file or a picture of this package at {path}, got another one; move it, "
            "or choose a folder with --to"
        )
    return path


def _compared(evaluation: Evaluation, archive: Archive) -> xr.Dataset:
    """The first members (ensemble, member, *space) of each variable that is scored."""
    found = samples(evaluation, archive)
    space, training = AXES[-found.grid.ndim :], evaluation.generation.training
    grid = zip(space, found.grid.coordinates(), strict=True)
    points = {axis: (axis, x.numpy()) for axis, x in grid}
    fields = xr.concat(
        [
            xr.DataArray(found.fields[name].numpy(), dims=("member", "variable", *space))
            for name in ENSEMBLES
        ],
        dim="ensemble",
    ).assign_coords({"ensemble": [*ENSEMBLES.values()], **points})
    # the solver's members have other numbers than the surrogate's
    columns = {"member": [""] * fields.sizes["member"]}
    return xr.Dataset(
        {
            label: fields.isel(variable=i).assign_coords(columns)
            for i, label in enumerate(labels(training))
        }
    )
