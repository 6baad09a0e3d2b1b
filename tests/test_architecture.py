"""The house stands: imports go down only, without circles, and heavy guests stay on their floors.

The imports are read from the source with `ast`, also those inside functions, behind
TYPE_CHECKING and through importlib.import_module with a literal name. Each rule has a negative
control: a small tree that breaks it and must be reported.
"""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = ("solvers", "generative", "pipeline", "flows")  # from the ground up
FOLDERS = (*FLOORS, "catalogs")
DRY_FLOORS = ("solvers", "generative")
BANNED_THERE = {"zarr", "xarray", "dask", "distributed", "pydantic", "safetensors", "h5py"}
OPENERS = {"open", "read_text", "write_text", "read_bytes", "write_bytes", "fromfile", "tofile"}
OPENERS |= {"memmap", "savez", "savetxt", "loadtxt"}
SAVERS = {"save", "load"}  # files only as torch.save, np.load, ...


class Import(NamedTuple):
    """`module` imports `target` in line `line`; `deferred_type` if only a type checker does."""

    module: str
    target: str
    line: int
    deferred_type: bool


def module_name(path: Path, root: Path) -> str:
    """The name a file is imported by: pipeline/ is the package pushforward itself."""
    parts = path.relative_to(root).with_suffix("").parts
    parts = parts[1:] if parts[0] == "pipeline" else parts
    return ".".join(("pushforward", *(part for part in parts if part != "__init__")))


def floor(module: str) -> str:
    """The folder a module of the package lies in."""
    second = module.split(".")[1] if "." in module else ""
    return second if second in FOLDERS and second != "pipeline" else "pipeline"


def imports(tree: ast.Module, module: str, package: bool) -> Iterator[Import]:
    """Every import statement of a module, with absolute names; `from a import b` gives a.b."""
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = module.split(".")[: None if package else -1]
                above = above[: len(above) - node.level + 1]
                base = ".".join((*above, base)) if base else ".".join(above)
            names = [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and node.args:
            called, first = ast.unparse(node.func), node.args[0]
            if called.split(".")[-1] in {"import_module", "__import__"}:
                names = [str(first.value)] if isinstance(first, ast.Constant) else []
        for name in names:
            yield Import(module, name, getattr(node, "lineno", 0), id(node) in typing_only)


def opened_files(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Calls that open a file, by their names."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        last = called.split(".")[-1]
        owner = called.removesuffix(last).rstrip(".")
        if last in OPENERS or (last in SAVERS and owner in {"torch", "np", "numpy"}):
            yield called, node.lineno


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """One path through each circle that a depth-first walk meets."""
    found: list[list[str]] = []
    done: set[str] = set()

    def walk(module: str, path: list[str]) -> None:
        if module in path:
            found.append([*path[path.index(module) :], module])
        elif module not in done:
            for target in sorted(edges.get(module, ())):
                walk(target, [*path, module])
            done.add(module)

    for module in sorted(edges):
        walk(module, [])
    return found


def violations(root: Path) -> list[str]:
    """What the tree under root does that the design forbids, one sentence each."""
    files = {
        module_name(path, root): path
        for folder in FOLDERS
        for path in sorted((root / folder).rglob("*.py"))
    }
    trees = {module: ast.parse(path.read_text("utf-8")) for module, path in files.items()}
    faults: list[str] = []
    edges: dict[str, set[str]] = {}
    for module, tree in trees.items():
        for found in imports(tree, module, files[module].name == "__init__.py"):
            at = f"{files[module].relative_to(root)}:{found.line}"
            faults += guest_faults(found, at)
            if found.target.split(".")[0] != "pushforward":
                continue
            faults += arrow_faults(found, at)
            target = found.target
            if target not in files:  # a name out of a module
                target = target.rpartition(".")[0]
            if not found.deferred_type and target in files and target != module:
                edges.setdefault(module, set()).add(target)
        if floor(module) in DRY_FLOORS:
            faults += [
                f"{files[module].relative_to(root)}:{line} opens a file ({called})"
                for called, line in opened_files(tree)
            ]
    return faults + [f"circle: {' -> '.join(path)}" for path in circles(edges)]


def arrow_faults(found: Import, at: str) -> list[str]:
    """An import of the package by itself: it must not go up."""
    here, there = floor(found.module), floor(found.target)
    if "catalogs" in (here, there):
        return [f"{at} imports {found.target}: catalogs hold no code"]
    if FLOORS.index(there) > FLOORS.index(here):
        return [f"{at} {here} imports {found.target}: an arrow upward"]
    return []


def guest_faults(found: Import, at: str) -> list[str]:
    """An import of another package: each has its floors."""
    top = found.target.split(".")[0]
    if top in FOLDERS:
        return [f"{at} short import of {found.target}: write pushforward..."]
    if top.startswith("prefect") and floor(found.module) != "flows":
        return [f"{at} imports {found.target} outside flows/"]
    if top in BANNED_THERE and floor(found.module) in DRY_FLOORS:
        return [f"{at} imports {found.target} in {floor(found.module)}/"]
    return []


def test_the_tree_keeps_the_rules() -> None:
    assert violations(ROOT) == []


def test_the_walk_sees_the_tree() -> None:
    """A walk that found no files or no imports would pass everything."""
    for folder in FLOORS:
        assert list((ROOT / folder).glob("*.py")), folder
    seen = imports(ast.parse((ROOT / "flows/stages.py").read_text()), "pushforward.flows.x", False)
    assert {"prefect"} <= {found.target.split(".")[0] for found in seen}


@pytest.mark.parametrize(
    "path", sorted(ROOT.joinpath("tests").rglob("*.py")), ids=lambda p: p.name
)
def test_tests_use_the_long_name(path: Path) -> None:
    found = imports(ast.parse(path.read_text("utf-8")), "tests", False)
    assert [i.target for i in found if i.target.split(".")[0] in FOLDERS] == []


CLEAN = {
    "solvers/__init__.py": "from pushforward.solvers.grid import Grid\n",
    "solvers/grid.py": "import torch\nclass Grid: ...\n",
    "generative/path.py": "from pushforward.solvers import Grid\n",
    "pipeline/__init__.py": "__version__ = '1'\n",
    "pipeline/archive.py": "import zarr\nfrom pushforward.generative import path\nopen('x')\n",
    "flows/stages.py": "import prefect\nfrom pushforward.archive import Archive\n",
}
BROKEN = [
    ("solvers/grid.py", "import pushforward.flows", "arrow upward"),
    ("solvers/grid.py", "from pushforward.generative.path import x", "arrow upward"),
    ("solvers/grid.py", "from pushforward import archive", "arrow upward"),
    ("solvers/grid.py", "from ..generative import path", "arrow upward"),
    ("solvers/grid.py", "def f():\n    import pushforward.archive", "arrow upward"),
    (
        "solvers/grid.py",
        "import importlib\nimportlib.import_module('pushforward.archive')",
        "arrow",
    ),
    ("generative/path.py", "import pushforward", "arrow upward"),
    ("pipeline/archive.py", "from pushforward.flows import stages", "arrow upward"),
    ("pipeline/archive.py", "if TYPE_CHECKING:\n    import pushforward.flows.stages", "arrow"),
    ("solvers/grid.py", "from pushforward.solvers import Grid", "circle"),
    ("pipeline/archive.py", "from prefect import task", "outside flows"),
    ("pipeline/archive.py", "import prefect_dask", "outside flows"),
    ("solvers/grid.py", "import zarr", "imports zarr"),
    ("generative/path.py", "from xarray import Dataset", "imports xarray"),
    ("generative/path.py", "import dask.array as da", "imports dask"),
    ("solvers/grid.py", "def f():\n    from pydantic import BaseModel", "imports pydantic"),
    ("solvers/grid.py", "with open('x') as f: ...", "opens a file"),
    ("generative/path.py", "from pathlib import Path\nPath('x').read_text()", "opens a file"),
    ("generative/path.py", "import torch\ntorch.save({}, 'x')", "opens a file"),
    ("solvers/grid.py", "import generative", "short import"),
    ("flows/stages.py", "from pipeline.archive import Archive", "short import"),
    ("pipeline/archive.py", "from solvers import Grid", "short import"),
]


def write_tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_clean_tree_has_no_faults(tmp_path: Path) -> None:
    assert violations(write_tree(tmp_path, CLEAN)) == []


@pytest.mark.parametrize(("name", "line", "said"), BROKEN)
def test_a_broken_tree_is_reported(tmp_path: Path, name: str, line: str, said: str) -> None:
    faults = violations(write_tree(tmp_path, CLEAN | {name: f"{CLEAN.get(name, '')}\n{line}\n"}))
    assert any(said in fault for fault in faults), faults
    assert all(name in fault or "circle" in fault for fault in faults)


def test_a_circle_of_three_is_reported(tmp_path: Path) -> None:
    ring = {
        f"generative/{a}.py": f"from pushforward.generative import {b}\n"
        for a, b in (("basis", "denoiser"), ("denoiser", "sampler"), ("sampler", "basis"))
    }
    (fault,) = violations(write_tree(tmp_path, CLEAN | ring))
    assert fault.startswith("circle: ")
    assert fault.count("->") == 3


def test_an_upward_import_in_the_real_tree_is_reported(tmp_path: Path) -> None:
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tmp_path / folder)
    with (tmp_path / "solvers" / "grid.py").open("a") as grid:
        grid.write("\n\ndef report():\n    from pushforward.archive import Archive\n")
    assert any("arrow upward" in fault for fault in violations(tmp_path))
