"""Codes in a process of their own: python -m benchmarks.solvers.worker MODULE DTYPE CORE.

It is sent a line of JSON at a time and answers each with one: the error of a whole solution, or
the seconds that a share of one takes. Cases come as JSON, so that small ones can be asked for too.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import warnings
from importlib import metadata
from typing import Any

import numpy as np

from .cases import MOMENTS, Case
from .codes import Code, Entry, entries
from .reference import error, reference

DISTRIBUTIONS = {"jax_cfd": "jax-cfd", "torch_cfd": "torch-cfd", "pde": "py-pde"}


class Server:
    """One module's codes: made when first asked for, plans kept for rounds of timing."""

    def __init__(self, module: str, dtype: str) -> None:
        self.module = importlib.import_module(f".codes.{module}", __package__)
        self.dtype = dtype
        self.codes: dict[tuple[str, Case], Code] = {}
        self.plans: dict[tuple[str, Case, float], Any] = {}

    def answer(self, do: str, entry: str, case: dict[str, Any], **request: Any) -> dict[str, Any]:
        """What was asked of one entry and case."""
        key = entry, Case(**{**case, "constants": Constants(case["constants"])})
        row = entries(key[1])[entry]
        if key not in self.codes:
            self.codes[key] = self.module.build(row.on(key[1]), self.dtype, **row.options)
        code = self.codes[key]
        if do == "compile":
            getattr(code, "compile", lambda: None)()
            return {}
        if do == "solve":
            return _solved(code, row, key[1], request["setting"])
        place = (*key, request["setting"])
        if do == "prepare":
            self.plans[place] = code.plan(request["setting"])
        began = time.perf_counter()
        code.advance(self.plans[place], request["share"])
        return {"seconds": time.perf_counter() - began}

    def version(self, package: str) -> str:
        """Name and version of the package that this is a code of."""
        name = DISTRIBUTIONS.get(package, package)
        return f"{name} {metadata.version(name).split('+')[0]}"


class Constants(dict[str, float]):
    """A case's constants, so that a case read from JSON can be a key."""

    def __hash__(self) -> int:
        return hash(tuple(sorted(self.items())))


def _solved(code: Code, row: Entry, case: Case, setting: float) -> dict[str, Any]:
    """The largest error at `MOMENTS`, and how long the last one took."""
    plan, wrong, seconds = code.plan(setting), 0.0, 0.0
    try:
        for share, exact in zip(MOMENTS, reference(case, row.space), strict=True):
            began = time.perf_counter()
            code.advance(plan, share)
            seconds = time.perf_counter() - began
            found = code.state()
            with np.errstate(all="ignore"):
                wrong = max(wrong, error(found, exact[np.arange(len(found)) % case.members]))
    except FloatingPointError:
        return {"error": None, "seconds": seconds, "notes": {}}
    notes = getattr(code, "notes", dict)()
    return {"error": wrong if np.isfinite(wrong) else None, "seconds": seconds, "notes": notes}


def _sentence(failure: Exception) -> str:
    if isinstance(failure, ModuleNotFoundError) and failure.name:
        return f"not installed ({failure.name})"
    return f"{type(failure).__name__}: {failure}".split("\n")[0][:300]


def main() -> None:
    """Speaks JSON on what was the standard output; what libraries print goes to the error's."""
    module, dtype, core = sys.argv[1:4]
    os.sched_setaffinity(0, {int(core)})
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    server: Server | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "open":
                server = Server(module, dtype)
                found: dict[str, Any] = {"version": server.version(request["package"])}
            else:
                assert server is not None
                found = server.answer(**request)
        except Exception as failure:
            found = {"failed": _sentence(failure)}
        out.write(json.dumps(found) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
