"""From an installed package to a probability with its interval, in ten lines of a user's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

ROOT = Path(__file__).resolve().parents[2]
LINES = """
from pushforward import Archive, Study, generate, simulate, train
study, archive = Study.load("smoke"), Archive("runs")
simulate(study.simulation, archive)
train(study.training, archive)
generate(study.generation, archive)
solver = archive.open(study.simulation).isel(time=-1).pushforward.enstrophy()
surrogate = archive.open(study.generation).isel(time=-1).pushforward.enstrophy()
found = surrogate.pushforward.exceedance(reference=solver, quantile=0.99)
print(f"{found.probability:.3f}, 95 %: {found.low:.3f} to {found.high:.3f}")
"""


def script(folder: Path) -> Path:
    path = folder / "notebook.py"
    path.write_text(LINES.lstrip())
    return path


def answer(python: Path | str, folder: Path, **changes: str) -> tuple[float, float, float]:
    """What the lines print in a fresh interpreter, in a folder that holds nothing else."""
    done = subprocess.run(
        [str(python), str(script(folder))],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | changes,
    )
    assert done.returncode == 0, done.stderr
    found = re.fullmatch(r"(\S+), 95 %: (\S+) to (\S+)", done.stdout.strip().splitlines()[-1])
    assert found, done.stdout
    probability, low, high = map(float, found.groups())
    return probability, low, high


def test_they_are_at_most_ten_lines() -> None:
    lines = [line for line in LINES.splitlines() if line.strip()]
    assert len(lines) <= 10
    assert all(len(line) <= 88 and ";" not in line for line in lines)


def test_a_probability_with_its_interval_in_ten_lines(tmp_path: Path) -> None:
    probability, low, high = answer(sys.executable, tmp_path)
    assert 0 <= low <= probability <= high <= 1
    assert 0.2 < high - low < 0.6  # of 16 members, and of 112 of the solver's

    (solver, generated) = (
        xr.open_zarr(path, consolidated=False).vorticity.isel(time=-1).astype(float)
        for kind in ("simulation", "generation")
        for path in (tmp_path / "runs").glob(f"{kind}-*/data.zarr")
    )
    amounts = [(u**2).mean(("y", "x")).values / 2 for u in (solver, generated)]
    share = (amounts[1] > np.quantile(amounts[0], 0.99)).mean()
    assert probability == pytest.approx(share, abs=6e-4)


@pytest.mark.slow
def test_from_pip_install_in_a_new_environment(tmp_path: Path) -> None:
    """`pip install`, and the same lines; the libraries are those of this environment."""
    home = tmp_path / "environment"
    venv.create(home, with_pip=True, symlinks=True)
    python = home / "bin" / "python"
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    libraries = {sysconfig.get_paths()["purelib"], sysconfig.get_paths()["platlib"]}
    (site,) = (home / "lib").glob("python*/site-packages")
    (site / "libraries.pth").write_text("\n".join(sorted(libraries)) + "\n")
    source = tmp_path / "source"
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, tracked.stdout.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    pip, alone = ["-m", "pip", "--quiet", "--no-cache-dir"], ["--no-deps", "--no-index"]
    quick = env | {"CC": "false"}  # kernels are optional, and take a minute to compile
    build = [sys.executable, *pip, "wheel", *alone, "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([*build, str(source)], check=True, env=quick, timeout=300)
    (wheel,) = tmp_path.glob("pushforward-*.whl")
    install = [str(python), *pip, "install", *alone, "--ignore-installed", str(wheel)]
    subprocess.run(install, check=True, env=env, timeout=300)
    where = "import pushforward; print(pushforward.__file__)"
    place = subprocess.run(
        [str(python), "-c", where], capture_output=True, text=True, env=env, cwd=tmp_path
    )
    assert Path(place.stdout.strip()).is_relative_to(site), place.stderr
    work = tmp_path / "work"
    work.mkdir()
    found = answer(python, work, PYTHONPATH="")
    assert 0 <= found[1] <= found[0] <= found[2] <= 1
    opened = (  # nothing of the package is imported: its engine brings the questions
        "import glob, xarray; (path,) = glob.glob('runs/generation-*');"
        "ds = xarray.open_dataset(path, engine='pushforward');"
        "print(float(ds.pushforward.enstrophy().mean()) > 0)"
    )
    asked = subprocess.run(
        [str(python), "-c", opened], capture_output=True, text=True, env=env, cwd=work
    )
    assert asked.stdout.strip() == "True", asked.stderr
