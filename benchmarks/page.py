"""The page on combinations, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from catalogue import CLOCK, SEED
from controls import FEWER, MEMBERS, controls, exact_draws, unmeant_cases
from mixture import FAR, GRID

if TYPE_CHECKING:
    from combinations import Combinations, Result

COMMAND = "python benchmarks/combinations.py"
LIMIT = 4.0


def write(found: Combinations, seconds: float, slow: Sequence[int] = (300, 3000)) -> str:
    """The whole page; `slow` are the steps given to what is not meant to work."""
    parts = [
        _head(found, seconds),
        _pooled(found),
        _controls(found),
        *_tables(found),
        _refusals(found),
        _not_meant(found, slow),
    ]
    return "\n\n".join(parts) + "\n"


def _cell(errors: dict[str, float]) -> str:
    return " ".join(_number(error, 1) for error in errors.values())


def _number(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")  # no minus zero


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _head(found: Combinations, seconds: float) -> str:
    count = found.account()
    errors = [error for result in found.results.values() for error in result.errors.values()]
    beyond = sum(error > LIMIT for error in errors)
    chance = -float(torch.special.ndtri(torch.tensor(0.5 / len(errors)).double()))
    pace = next(iter(found.samplers.values())).pace
    shape, shells = " x ".join(map(str, GRID.shape)), len(found.truth.families["spectrum"].mean)
    return f"""# Every combination, against a mixture whose law is known

    {COMMAND}

One thread, torch {torch.__version__.split("+")[0]}, seed {SEED}, {max(1, round(seconds / 60))} \
minutes. The command writes this page; `benchmarks/catalogue.py` has all paths and samplers.

**{sum(count.values())} combinations** of {len(found.bases)} bases, {len(found.paths)} paths, \
{len(found.processes)} processes and {len(found.samplers)} samplers: {count["run"]} run, \
{count["the same"]} the same as one of these (multistep, heun and langevin see levels alone, so a \
process enters by its clock only), {count["refused"]} refused by the library with a reason, \
{count["not meant"]} not meant to work. **Beyond {LIMIT:.0f} standard errors: {beyond or "none"} \
of {len(errors)} errors; the largest is {max(errors):.1f}** \
(chance alone, in as many independent errors, would make it about {chance:.1f}).

**Data.** A mixture of two Gaussian fields on {shape} points, one rough, one smooth and of \
varying amplitude, with means of their own: not Gaussian, not homogeneous, with correlated \
coefficients in every basis. Its denoiser is known in closed form for any whitening.

**Errors** are three numbers, in this order: of the mean (of averages over the box, patches, a \
point and waves), of the spectrum (the power of {shells} shells) and of tails (how often those \
averages lie beyond {FAR} deviations, on either side). Each is one chi-square statistic against \
the exact expectations and covariance, told as the normal deviate of the same probability: a \
perfect sampler's errors are standard normal, and beyond {LIMIT:.0f} with probability 3e-5. \
Below 0 is better than the median; - is refused or not meant to work, see the end.

**Evaluations** are of the network, for each member. Windows are given {pace} times the steps. \
Steps are chosen so that their error is small beside that of chance in an ensemble of the size \
given; how many fewer would do is another question."""


def _pooled(found: Combinations) -> str:
    """Errors over all the combinations of a sampler: a small bias that one cannot show."""
    rows = []
    for name, entry in found.samplers.items():
        results = [result for key, result in found.results.items() if key[3] == name]
        rows.append([name, str(entry.members), *_moments([r.errors for r in results])])
    exact = exact_draws(found.truth, members=1000, times=400, seed=1)
    rows.append(["*draws of the law itself*", "1000", *_moments(exact)])
    return "\n\n".join(
        [
            "## By sampler",
            "Over all runs of a sampler: mean of the errors ± their deviation, 0 ± 1 if there is "
            "nothing but chance.",
            _table(["sampler", "members", "runs", "mean", "spectrum", "tail", "largest"], rows),
        ]
    )


def _moments(errors: Sequence[dict[str, float]]) -> list[str]:
    values = torch.tensor([list(one.values()) for one in errors])
    pairs = zip(values.mean(0).tolist(), values.std(0).tolist(), strict=True)
    cells = [f"{_number(mean, 2)} ± {deviation:.2f}" for mean, deviation in pairs]
    return [str(len(errors)), *cells, _number(float(values.max()), 1)]


def _tables(found: Combinations) -> Iterator[str]:
    direct = [name for name in found.samplers if not found.samplers[name].lifted]
    lifted = [name for name in found.samplers if found.samplers[name].lifted]
    for kind in found.bases:
        yield f"## {kind}"
        yield _table(["path", *direct], _direct_rows(found, kind, direct))
        head = ["path", "sampler", "evaluations", *found.processes]
        yield _table(head, _lifted_rows(found, kind, lifted))


def _direct_rows(found: Combinations, kind: str, names: list[str]) -> Iterator[list[str]]:
    told: list[int] = []
    for path in found.paths:
        if (kind, path) in found.refused:
            continue
        for clock in found.processes if path == CLOCK else (None,):
            results = [found.results.get((kind, path, clock, name)) for name in names]
            if not any(results):
                continue
            counts = [result.evaluations for result in results if result]
            if counts != told:
                yield ["*evaluations*", *(f"*{count}*" for count in counts)]
                told = counts
            title = f"{path}: {clock}" if clock else path
            yield [title, *(_cell(result.errors) if result else "" for result in results)]


def _lifted_rows(found: Combinations, kind: str, names: list[str]) -> Iterator[list[str]]:
    for path in found.paths:
        for name in names:
            results: list[Result | None] = [
                found.results.get((kind, path, process, name)) for process in found.processes
            ]
            if any(results):
                count = next(result.evaluations for result in results if result)
                cells = [_cell(result.errors) if result else "-" for result in results]
                yield [path, name, str(count), *cells]


def _refusals(found: Combinations) -> str:
    rows = []
    for reason in dict.fromkeys(found.refused.values()):
        pairs = [pair for pair, said in found.refused.items() if said == reason]
        for kinds in dict.fromkeys(tuple(k for k, p in pairs if p == path) for _, path in pairs):
            paths = [path for path in found.paths if all((k, path) in pairs for k in kinds)]
            rows.append([", ".join(kinds), "; ".join(paths), "any", "any", f"*{reason}*"])
    rows += [
        ["any", "any", process, name, f"*{reason}*"]
        for (process, name), reason in found.declined.items()
    ]
    return "\n\n".join(
        [
            "## Refused",
            "What the library says:",
            _table(["basis", "path", "process", "sampler", "reason"], rows),
        ]
    )


def _not_meant(found: Combinations, slow: Sequence[int]) -> str:
    rows = [
        [path or "any", process, sampler or "any", reason, *map(_cell, errors)]
        for (path, process, sampler), reason, errors in unmeant_cases(
            found.fitted, found.truth, slow
        )
    ]
    head = ["path", "process", "sampler", "why", *(f"{count} steps" for count in slow)]
    return "\n\n".join(
        [
            "## Not meant to work",
            "The library does them and they converge, but too slowly to be of use. Errors of "
            f"{FEWER} members in the {next(iter(found.bases))} basis, by bridge if any sampler "
            "would do:",
            _table(head, rows),
        ]
    )


def _controls(found: Combinations) -> str:
    kind = found.bases[0]
    rows = [
        [name, *_cell(errors).split(" ")]
        for name, errors in controls(found.fitted[kind], found.truth, members=MEMBERS, seed=3)
    ]
    return "\n\n".join(
        [
            "## Controls",
            f"What is wrong is seen to be wrong ({kind}, {MEMBERS} members):",
            _table(["", "mean", "spectrum", "tail"], rows),
        ]
    )
