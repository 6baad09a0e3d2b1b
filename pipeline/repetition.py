"""A result as a study that makes it again, from what the archive says of it alone.

The study has the spec's own lineage, to the name; what would follow it (a simulation's training,
say) is filled in as small as it can be, since a study has all four parts.

    pushforward show simulation-1a2b3c4d5e --study > study.yaml
    pushforward simulate study.yaml --root elsewhere
"""

from __future__ import annotations

import shlex
from typing import Any

import yaml

from pushforward.entries import Entry
from pushforward.generative import Architecture
from pushforward.lineage import Spec
from pushforward.places import Place
from pushforward.spec import KINDS, POOL, Evaluation, Generation, Simulation, Training
from pushforward.study import Study

FEWEST = 2  # members that an evaluation compares at least


def study(spec: Spec, title: str = "") -> Study:
    """The smallest study that a spec is part of.

    Raises ValueError where none can be: a study leaves members for an evaluation.

    >>> own = Study.load("smoke").simulation
    >>> study(own).simulation.name == own.name
    True
    """
    whole: Any = spec
    try:
        if isinstance(whole, Simulation):
            whole = _training(whole)
        if isinstance(whole, Training):
            whole = Generation(training=whole, members=FEWEST)
        if isinstance(whole, Generation):
            whole = Evaluation(generation=whole, members=FEWEST)
    except ValueError as error:
        raise ValueError(
            f"expected members enough for a study of {spec.name}, got too few ({error}); make it "
            f"again in Python, {spec.verb}(archive.stored({spec.name!r}), Archive('elsewhere'))"
        ) from None
    return Study(title=title or f"Repeats {spec.name}", evaluation=whole)


def written(whole: Study) -> str:
    """A study as YAML, as `Study.load` reads it.

    >>> written(Study.load("smoke")).splitlines()[0]
    'title: Smoke'
    """
    return yaml.safe_dump(
        whole.sections(), sort_keys=False, allow_unicode=True, default_flow_style=None, width=92
    )


def heading(entry: Entry) -> str:
    """Comments above such a study: of which result, and what code made it with what libraries.

    >>> heading(Entry("simulation-1a2b3c4d5e", "simulation", False, {}, None))
    '# simulation-1a2b3c4d5e, not complete\\n'
    """
    if entry.manifest is None:
        return f"# {entry.name}, not complete\n"
    made = entry.manifest["provenance"]
    code, libraries = made["code"], made["libraries"]
    commit = code.get("commit")
    which = f", commit {commit}{', with changes' if code.get('dirty') else ''}" if commit else ""
    return (
        f"# {entry.name}, {made['time']}\n"
        f"# pushforward {code.get('version')}{which}\n"
        f"# {', '.join(f'{name} {version}' for name, version in libraries.items() if version)}\n"
    )


def command(entry: Entry, root: Place | str) -> str:
    """What a shell runs to make a result again, in another archive."""
    verb = "run" if entry.kind == "evaluation" else KINDS[entry.kind].verb
    show = f"pushforward show {entry.name} --root {shlex.quote(str(root))} --study > study.yaml"
    return f"{show} && pushforward {verb} study.yaml --root again"


def _training(simulation: Simulation) -> Training:
    """The smallest training of a simulation: the exact Gaussian surrogate of a few members."""
    periodic = simulation.grid.periodic
    return Training(
        simulation=simulation,
        members=min(max(1, simulation.members - POOL * FEWEST - 1), 2),
        held_out=1,
        surrogate=Architecture(basis="fourier" if periodic else "cosine"),
        translations=periodic,
        steps=0,
    )
