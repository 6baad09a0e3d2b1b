"""The README's picture: python docs/figure.py [ROOT [STUDY [FILE]]], after ./go.sh run STUDY."""

import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from pushforward import Archive, Study

COLUMNS = 6


def main(root: str = "runs", name: str = "quickstart", path: str = "docs/quickstart.png") -> None:
    """Draws members of the surrogate, the solver and the Gaussian surrogate on one scale."""
    study, archive = Study.load(name), Archive(root)
    names = study.simulation.channels  # the first of them, at the last time that was learnt
    variable = names[0]
    frame = study.training.frames[-1]
    solver = archive.open(study.simulation)[variable].isel(time=frame).values[-COLUMNS:]
    generated = archive.open(study.generation)[variable].isel(time=-1).values[:COLUMNS]
    gaussian = archive.surrogate(study.training).gaussian()
    drawn = gaussian.sample(range(COLUMNS), seed=study.generation.seed)[:, -len(names)].numpy()
    rows = {"surrogate": generated, "solver": solver, "Gaussian": drawn}
    limit = 3 * float(solver.std())
    figure, axes = plt.subplots(3, COLUMNS, figsize=(9, 4.7), layout="constrained")
    for line, (label, fields) in zip(axes, rows.items(), strict=True):
        for axis, field in zip(line, fields, strict=True):
            axis.imshow(field, cmap="RdBu_r", vmin=-limit, vmax=limit, origin="lower")
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        line[0].set_ylabel(label, fontsize=11)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
