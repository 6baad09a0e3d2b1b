"""The distribution is what the tree is, the lower floors stand alone, and the pins are whole."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
FOLDERS = ("pipeline", "solvers", "generative", "flows", "catalogs")
HEAVY = ("zarr", "prefect", "xarray", "pydantic", "dask", "distributed")


def packages_in_tree() -> set[str]:
    """The import names of the folders that hold an __init__.py."""
    found = set()
    for folder in FOLDERS:
        for init in (ROOT / folder).rglob("__init__.py"):
            parts = init.parent.relative_to(ROOT).parts
            parts = parts[1:] if folder == "pipeline" else parts
            found.add(".".join(("pushforward", *parts)))
    return found


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )


def loaded_by(statement: str) -> set[str]:
    """The heavy packages in sys.modules after a statement, in a fresh interpreter."""
    done = python(f"{statement}\nimport sys\nprint(*(m for m in {HEAVY} if m in sys.modules))")
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_every_folder_is_a_listed_package() -> None:
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == packages_in_tree()


def test_every_package_with_code_is_typed() -> None:
    for folder in ("pipeline", "solvers", "generative", "flows"):
        assert (ROOT / folder / "py.typed").is_file()


def test_no_python_outside_a_package() -> None:
    """A folder without __init__.py would be missing from the wheel."""
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            assert (path.parent / "__init__.py").is_file(), path


def test_catalogs_are_installed() -> None:
    studies = [entry.name for entry in resources.files("pushforward.catalogs").iterdir()]
    assert {"smoke.yaml", "quickstart.yaml"} <= set(studies)


def test_templates_of_clusters_are_installed() -> None:
    folder = resources.files("pushforward.catalogs") / "clusters"
    names = {entry.name for entry in folder.iterdir()}
    assert {"train.sbatch", "study.sbatch", "local.yaml", "dask.yaml", "slurm.yaml"} <= names
    data = PROJECT["tool"]["setuptools"]["package-data"]["pushforward.catalogs"]
    assert data == ["clusters/*.sbatch", "clusters/*.yaml", "seeds/*.yaml"]


def test_the_experiments_of_the_seeds_are_installed() -> None:
    folder = resources.files("pushforward.catalogs") / "seeds"
    assert {"ddo_mixture.yaml", "mdm_mnist.yaml"} <= {entry.name for entry in folder.iterdir()}


@pytest.mark.parametrize(
    "package", ["pushforward", "pushforward.solvers", "pushforward.generative"]
)
def test_the_lower_floors_stand_alone(package: str) -> None:
    assert loaded_by(f"import {package}") == set()


def test_the_archive_does_load_zarr() -> None:
    """Negative control: the test above can see a heavy import."""
    assert {"zarr", "xarray"} <= loaded_by("from pushforward import Archive")


def test_the_command_line_starts_light() -> None:
    assert loaded_by("import pushforward.flows.cli") <= {"pydantic"}


@pytest.mark.parametrize("short", ["pipeline", "solvers", "generative", "flows"])
def test_ruff_refuses_the_short_import(short: str) -> None:
    def lint(code: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ruff", "check", "--stdin-filename", "tests/x.py", "-"],
            input=code,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=ROOT,
            check=False,
        )

    refused = lint(f"import {short}\n\nprint({short})\n")
    assert refused.returncode == 1
    assert "TID251" in refused.stdout
    assert lint("import pushforward.solvers\n\nprint(pushforward)\n").returncode == 0


def test_the_constraints_pin_what_pyproject_asks_for() -> None:
    project = PROJECT["project"]
    asked = [Requirement(line) for line in project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        asked += [Requirement(line) for line in extra]
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    for requirement in asked:
        if requirement.name == "pushforward":
            continue
        assert requirement.name in pins
        assert requirement.specifier.contains(pins[requirement.name]), requirement
    assert set(pins) == {requirement.name for requirement in asked} - {"pushforward"}
