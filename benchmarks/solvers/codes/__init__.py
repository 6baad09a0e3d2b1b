"""The codes, each behind the same four methods, and which of them solve which case."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from benchmarks.solvers.cases import Array, Case


class Code(Protocol):
    """A code with a case and a precision; made by the module's `build(case, dtype, **options)`.

    `setting` is the number of equal steps in the whole time, or a tolerance where steps are
    chosen by the code. `plan` makes what depends on it and is not timed; `advance` goes from the
    initial states through a share of the time and returns when that is done; `state` is where
    it led, float64 (member, channel, y, x).
    """

    def plan(self, setting: float) -> Any: ...

    def advance(self, plan: Any, share: float) -> None: ...

    def state(self) -> Array: ...


@dataclass(frozen=True)
class Entry:
    """One row of a table.

    `package` must be importable; `order` is the scheme's; `adaptive` codes are set by a tolerance;
    `space` is the discretisation they are judged by. A `slow` plan takes seconds to make, so one
    is timed, and other numbers of steps are scaled from it. With `members` set, the row has that
    many and they repeat the case's own.
    """

    label: str
    module: str
    package: str
    order: float
    adaptive: bool = False
    space: str = "waves"
    dtypes: tuple[str, ...] = ("float32", "float64")
    ours: bool = False
    slow: bool = False
    members: int | None = None
    options: dict[str, str | int | bool] = field(default_factory=dict)

    def on(self, case: Case) -> Case:
        """The case with as many members as this row has."""
        return case if self.members is None else replace(case, batch=self.members)


def _ours(label: str, scheme: str, **options: str | bool) -> Entry:
    order = {"ifrk32": 3, "ifrk43": 4, "ifrk54": 5, "etdrk4": 4}[scheme]
    adaptive = bool(options.get("adaptive"))
    return Entry(
        f"pushforward, {label}, {'tolerance' if adaptive else 'fixed step'}",
        "pushforward_evolve",
        "pushforward",
        order,
        adaptive,
        ours=True,
        options={"scheme": scheme, "adaptive": adaptive, **options},
    )


def entries(case: Case) -> dict[str, Entry]:
    """The rows of a case's table, by a short name."""
    return {**_own(case), **_peers(case)}


def _own(case: Case) -> dict[str, Entry]:
    rows = _cells() if case.walls else _waves()
    lanes = 16 * -(-case.members // 16)  # the widest kernel takes 16 members side by side
    if lanes != case.members:
        for name in [name for name in ("ours-43", "ours-54", "ours-54a") if name in rows]:
            label = f"{rows[name].label}, {lanes} members"
            rows[f"{name}-full"] = replace(rows[name], label=label, members=lanes)
    if case.equation == "gray_scott":  # a steady forcing is beyond this scheme's estimate
        rows["ours-43a"] = _ours("IFRK4(3)", "ifrk43", adaptive=True)
        rows["torch-etd"] = _ours("torch, ETDRK4", "etdrk4", kernel="torch")
    return rows


def _waves() -> dict[str, Entry]:
    return {
        "ours-43": _ours("IFRK4(3)", "ifrk43"),
        "ours-54": _ours("IFRK5(4)", "ifrk54"),
        "ours-32a": _ours("IFRK3(2)", "ifrk32", adaptive=True),
        "ours-54a": _ours("IFRK5(4)", "ifrk54", adaptive=True),
        "torch-43": _ours("torch, IFRK4(3)", "ifrk43", kernel="torch"),
        "torch-54a": _ours("torch, IFRK5(4)", "ifrk54", adaptive=True, kernel="torch"),
    }


def _cells() -> dict[str, Entry]:
    rows = {
        "ours-43": _ours("IFRK4(3), cells", "ifrk43"),
        "ours-32a": _ours("IFRK3(2), cells", "ifrk32", adaptive=True),
        "ours-54a": _ours("IFRK5(4), cells", "ifrk54", adaptive=True),
        "torch-54a": _ours("torch, IFRK5(4), cells", "ifrk54", adaptive=True, kernel="torch"),
    }
    on_cells = {
        name: replace(row, space="stencil", options={**row.options, "space": "stencil"})
        for name, row in rows.items()
    }
    return {**on_cells, "waves-54a": _ours("IFRK5(4), waves", "ifrk54", adaptive=True)}


def _peers(case: Case) -> dict[str, Entry]:
    if case.equation == "fitzhugh_nagumo":
        return {"pdebench": _simulator(), "py-pde": _py_pde()}
    rows = {
        f"exponax-{order}": Entry(
            f"exponax ETDRK{order}", "exponax_etdrk", "exponax", order, options={"order": order}
        )
        for order in (4, 2)
    }
    if case.equation == "gray_scott":
        return {**rows, "py-pde": _py_pde()}
    return {
        **rows,
        "jax-cfd": Entry("jax-cfd CN-RK4", "jax_cfd_spectral", "jax_cfd", 2),
        "torch-cfd": Entry("torch-cfd RK4-CN", "torch_cfd_spectral", "torch_cfd", 2),
        "fno": Entry("FNO's script, re-written", "fno_script", "torch", 1),
    }


def _py_pde() -> Entry:
    return Entry("py-pde RK4", "py_pde", "pde", 4, space="stencil", dtypes=("float64",), slow=True)


def _simulator() -> Entry:
    return Entry(
        "PDEBench's simulator, re-written", "pdebench_simulator", "scipy", 5, True, "stencil",
        ("float64",),
    )  # fmt: skip
