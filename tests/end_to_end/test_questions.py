"""From an installed package to an answer with an interval, in ten lines of a user's."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ASKED = """\
import xarray as xr
from pushforward import Archive, Study, simulate, train
study, archive = Study.load("smoke"), Archive("runs")
simulate(study.simulation, archive)
name = train(study.training, archive)
solver = archive.open(study.simulation).isel(time=-1).pushforward.enstrophy()
ensemble = xr.open_dataset(name, engine="pushforward", members=512, chunks={})
enstrophy = ensemble.isel(time=-1).pushforward.enstrophy()
found = enstrophy.pushforward.exceedance(reference=solver, quantile=0.99).compute()
print(f"P = {found.probability:.4f}, {found.low:.4f} to {found.high:.4f}")
"""


def told(python: str, folder: Path) -> tuple[float, float, float]:
    """What the lines print, in an interpreter and a folder of their own."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if python == sys.executable:
        env = {**os.environ}
    ran = subprocess.run(
        [python, "-c", ASKED], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    words = ran.stdout.split()
    return float(words[2].strip(",")), float(words[3]), float(words[5])


def check(answer: tuple[float, float, float]) -> None:
    probability, low, high = answer
    assert 0 <= low < probability < high <= 1 or probability == low == 0 < high
    assert low < 0.05  # of the right size, and known as well as 112 members of the solver tell
    assert 0.01 < high - low < 0.5


def test_the_probability_of_a_rare_enstrophy_takes_ten_lines(tmp_path: Path) -> None:
    assert len(ASKED.splitlines()) <= 10
    check(told(sys.executable, tmp_path))


@pytest.mark.slow
def test_they_run_from_an_installed_wheel(tmp_path: Path) -> None:
    """`pip install` of this folder into an environment of its own, beside what it needs."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", str(venv)], check=True)
    python = venv / "bin" / "python"
    beside = [path for path in sys.path if path.endswith("site-packages")]
    (next((venv / "lib").glob("*/site-packages")) / "beside.pth").write_text("\n".join(beside))
    root = Path(__file__).parents[2]
    install = [str(python), "-m", "pip", "install", "--no-deps", "--no-build-isolation"]
    built = subprocess.run(
        [*install, "--force-reinstall", str(root)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, textwrap.shorten(built.stderr, 2000)
    check(told(str(python), tmp_path))
