"""The page of the seeds' experiments, made of what was measured and of nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.markdown import number, table
from benchmarks.seeds.row import Row, Verdict

COMMAND = "OMP_NUM_THREADS=1 python -m benchmarks.seeds --data FOLDER"
INTRODUCTION = """# Every experiment of the four seeds

`{command}` makes this page: each row is run by `pushforward run`, from pages of YAML in
`catalogs/seeds`, then measured; what is complete in the archive (`--root`) is not computed again.
Numbers, seeds, commits and machines are in `docs/results/seeds/*.json`. FOLDER holds MNIST's and
CIFAR-10's files as published; without them `mnist` and `cifar10` are downloaded.

Networks and steps are such that a row takes less than an hour of a core, where the papers had
GPUs for days: a row says what it saw, and **deserves a GPU** stands where more would change it.
Verdicts are computed from the numbers: *confirmed* and *not confirmed* speak of the paper's claim
as it can be tested here, *beyond the budget* says that this much computing cannot tell.

- DDO: Lim et al., [2302.07400](https://arxiv.org/abs/2302.07400)
- Multilevel: Hagemann et al., [2303.04772](https://arxiv.org/abs/2303.04772)
- GUD: Gerdes et al., [2410.02667](https://arxiv.org/abs/2410.02667)
- MDM: Singhal et al., [2302.07261](https://arxiv.org/abs/2302.07261)"""


def written(rows: Sequence[Row], found: Mapping[str, Mapping[str, Any]]) -> str:
    """The page in Markdown, of the rows that were measured; the others say that they were not."""
    lines = []
    for row in rows:
        verdict = _verdict(row, found.get(row.name))
        minutes = _minutes(found[row.name]) if row.name in found else "-"
        anchor = f"[{row.title}](#{row.name})"
        lines.append([row.paper, anchor, f"**{verdict.word}**", verdict.why, minutes])
    head = ["paper", "experiment", "the claim", "what was measured", "minutes of a core"]
    parts = [INTRODUCTION.format(command=COMMAND), "## In one line each", table(head, lines)]
    for row in rows:
        parts += _section(row, found.get(row.name))
    return "\n\n".join(parts) + "\n"


def _verdict(row: Row, found: Mapping[str, Any] | None) -> Verdict:
    if found is None:
        return Verdict("beyond the budget", "not run")
    if found.get("chosen"):
        return Verdict("beyond the budget", f"only {', '.join(found['chosen'])} of it was run")
    return row.verdict(dict(found["measured"]))


def _section(row: Row, found: Mapping[str, Any] | None) -> list[str]:
    """What one row says in full."""
    pages = ", ".join(f"`catalogs/seeds/{page}.yaml`" for page in row.pages)
    parts = [
        f'<a id="{row.name}"></a>\n\n## {row.paper}: {row.title}',
        f"{pages}\n\n- **Claim:** {row.claim}.\n- **Published:** {row.published}.",
    ]
    if row.note:
        parts.append(row.note)
    if row.gpu:
        parts.append("Deserves a GPU.")
    if found is None:
        return [*parts, "Not run."]
    verdict = _verdict(row, found)
    parts.append(f"**{verdict.word.capitalize()}:** {verdict.why}.")
    for one in [] if found.get("chosen") else row.tables(dict(found["measured"])):
        if one.lines:
            parts += [one.about, table(one.head, one.lines)]
    return [*parts, _cost(found)]


def _cost(found: Mapping[str, Any]) -> str:
    """What a row took, in words."""
    costs = found["costs"]
    trainings = costs["trainings"].values()
    steps = sorted({f"{one['steps']} steps of {one['batch']}" for one in trainings})
    sizes = sorted({one["parameters"] for one in trainings})
    absent = f" Not run: {', '.join(found['absent'])}." if found["absent"] else ""
    changed = f" Changed: {', '.join(f'`{one}`' for one in found['changes'])}." * bool(
        found["changes"]
    )
    return (
        f"{len(costs['trainings'])} trainings of {', '.join(steps)}; {_span(sizes)} parameters; "
        f"{_minutes(found)} minutes of a core ({costs['machine']['processor']}) in all; commits "
        f"{', '.join(one[:7] for one in costs['commits'])}.{changed}{absent}"
    )


def _span(sizes: Sequence[int]) -> str:
    if not sizes:
        return "no"
    low, high = number(min(sizes)), number(max(sizes))
    return low if low == high else f"{low} to {high}"


def _minutes(found: Mapping[str, Any]) -> str:
    known = [one for one in found["costs"]["seconds"].values() if one is not None]
    return number((sum(known) + found["seconds"]) / 60)
