"""Nothing in the package can run what it reads: no pickle, no eval, no shell.

The source is read with `ast`; each rule has a negative control, a line that breaks it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("solvers", "generative", "pipeline", "flows", "benchmarks")
UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
RUNNERS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}
YAML = {"yaml.load", "yaml.load_all"}
UNSAFE_YAML = {f"yaml.{how}_load{all_}" for how in ("unsafe", "full") for all_ in ("", "_all")}


def faults(tree: ast.Module) -> Iterator[str]:
    """What a module does that may run what it reads, with the line."""
    safe = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and "SafeLoader" in {ast.unparse(b)[-10:] for b in node.bases}
    } | {"yaml.SafeLoader", "yaml.CSafeLoader"}
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        found = {name.split(".")[0] for name in names} & UNPICKLERS
        if found:
            yield f"{node.lineno}: imports {found.pop()}"  # type: ignore[attr-defined]
        if isinstance(node, ast.Call):
            for fault in call_faults(node, safe):
                yield f"{node.lineno}: {fault}"


def call_faults(node: ast.Call, safe: set[str]) -> Iterator[str]:
    called = ast.unparse(node.func)
    options = {one.arg: ast.unparse(one.value) for one in node.keywords}
    if called in RUNNERS | UNSAFE_YAML:
        yield f"calls {called}"
    if called == "torch.load" and options.get("weights_only") != "True":
        yield "calls torch.load without weights_only=True"
    if options.get("allow_pickle", "False") != "False":
        yield f"calls {called} with allow_pickle"
    if options.get("shell", "False") != "False":
        yield f"calls {called} with a shell"
    if called in YAML and options.get("Loader") not in safe:
        yield f"calls {called} without a safe loader"


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_runs_what_it_reads(folder: str) -> None:
    paths = sorted((ROOT / folder).rglob("*.py"))
    assert paths
    found = [
        f"{path.relative_to(ROOT)}:{fault}"
        for path in paths
        for fault in faults(ast.parse(path.read_text("utf-8")))
    ]
    assert found == []


def test_no_numpy_file_is_read() -> None:
    """So none with objects in it can be."""
    readers = {"np.load", "numpy.load", "np.fromfile", "np.genfromtxt", "np.loadtxt"}
    for folder in FOLDERS[:-1]:
        for path in (ROOT / folder).rglob("*.py"):
            calls = [
                n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call)
            ]
            assert not readers & {ast.unparse(call.func) for call in calls}, path


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "import pickle as p",
        "from pickle import loads",
        "from cloudpickle import loads",
        "import joblib",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text)",
        "yaml.load(text, Loader=yaml.Loader)",
        "class Mine(yaml.Loader): ...\nyaml.load(text, Loader=Mine)",
        "yaml.unsafe_load(text)",
        "yaml.full_load(text)",
        "eval(text)",
        "exec(text)",
        "def f():\n    os.system(text)",
        "subprocess.run(text, shell=True)",
        "subprocess.Popen(text, shell=wanted)",
    ],
)
def test_a_line_that_might_is_reported(line: str) -> None:
    assert list(faults(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        "yaml.safe_load(text)",
        "class Mine(yaml.SafeLoader): ...\nyaml.load(text, Loader=Mine)",
        "torch.load(path, weights_only=True)",
        "subprocess.run(['git', 'status'])",
        "model.eval()",
        "re.compile('x')",
    ],
)
def test_a_line_that_cannot_is_not(line: str) -> None:
    assert list(faults(ast.parse(line))) == []
