"""The examples in the docstrings run, and every public name has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "pushforward": "pipeline",
    "pushforward.solvers": "solvers",
    "pushforward.solvers.kernels": "solvers/kernels",
    "pushforward.generative": "generative",
    "pushforward.flows": "flows",
}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def modules() -> list[str]:
    """The names of all modules of the four packages."""
    names = []
    for package, folder in PACKAGES.items():
        for path in (ROOT / folder).glob("*.py"):
            names.append(package if path.stem == "__init__" else f"{package}.{path.stem}")
    return sorted(names)


def public() -> list[str]:
    """Every function and class in a package's __all__, as package:name."""
    return [f"{package}:{name}" for package in PACKAGES for name in exported(package)]


def exported(package: str) -> list[str]:
    source = importlib.import_module(package)
    return sorted(name for name in getattr(source, "__all__", ()) if not name.startswith("__"))


def examples(thing: object) -> int:
    """The number of examples in an object's docstring and those of its methods."""
    found = doctest.DocTestFinder(exclude_empty=True).find(thing, name="x")
    return sum(len(test.examples) for test in found)


@pytest.mark.parametrize("name", modules())
def test_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # what an example writes must not land in the tree
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert failed == 0


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_say_what_is_public(package: str) -> None:
    assert importlib.import_module(package).__all__
    for name in exported(package):
        assert hasattr(importlib.import_module(package), name)


@pytest.mark.parametrize("where", public())
def test_public_names_have_an_example(where: str) -> None:
    package, _, name = where.partition(":")
    thing = getattr(importlib.import_module(package), name)
    if not (inspect.isclass(thing) or callable(thing)):
        pytest.skip("not a function or class: nowhere to put an example")
    assert examples(thing) > 0
    if not (inspect.isclass(thing) or inspect.isroutine(thing)):  # a flow: testmod walks past it
        for test in doctest.DocTestFinder().find(thing, name, globs={name: thing}):
            assert doctest.DocTestRunner(optionflags=FLAGS).run(test).failed == 0


def test_a_name_without_an_example_is_found() -> None:
    """Negative control."""

    def silent() -> None:
        """Does nothing."""

    assert examples(silent) == 0
