"""What is damaged of a result is made again, and nothing else.

Of a simulation or generation exactly the blocks whose bytes differ from their checksums, and the
description of the arrays if that is damaged; of a training or evaluation, which have no blocks,
the whole. The seal is taken away first, so nobody reads what is being mended, and a kill leaves a
result that is incomplete: the same command, or its verb, goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pushforward import bounds
from pushforward.archive import Archive
from pushforward.generation import generate
from pushforward.generation import template as generated
from pushforward.lineage import Spec
from pushforward.progress import say
from pushforward.simulation import simulate
from pushforward.simulation import template as simulated
from pushforward.spec import Evaluation, Generation, Simulation, Training


def repair(name: str, archive: Archive, *, workers: int = 1) -> list[str]:
    """Makes again what `Archive.verify` finds damaged of a result, and seals it; returns that.

    Raises LookupError for a name that is not there and for an upstream that is not complete,
    OSError for a spec that is damaged, too, and for a link that leads out of the archive.

    >>> import tempfile
    >>> repair("simulation-1a2b3c4d5e", Archive(tempfile.mkdtemp()))
    Traceback (most recent call last):
    LookupError: simulation-1a2b3c4d5e is not in ...; `search` lists what is
    """
    bounds.keep_inside(archive.folder(name), archive.root)
    faults = archive.verify(name)
    if not faults:
        return []
    spec = archive.stored(name)
    if spec.name != name:
        raise OSError(
            f"expected the spec of {name} in {archive.folder(name)}, got another or a damaged "
            "one; remove the folder and run its study again"
        )
    if spec.upstream is not None:
        archive.require(spec.upstream)
    before = archive.reopen(spec, faults, _template(spec))
    _verb(spec)(spec, archive, **({} if isinstance(spec, Training) else {"workers": workers}))
    after = {one["block"]: one["arrays"] for one in archive.manifest(spec)["blocks"]}
    changed = [block for block, arrays in before.items() if after[block] != arrays]
    if changed:
        say(
            f"{name}: block {', '.join(map(str, changed))} has other bits than before: another "
            "machine or version made it"
        )
    return faults


def _verb(spec: Spec) -> Callable[..., Any]:
    # these two bring torch's networks and the scores along
    if isinstance(spec, Training):
        from pushforward.training import train

        return train
    if isinstance(spec, Evaluation):
        from pushforward.evaluation import evaluate

        return evaluate
    return simulate if isinstance(spec, Simulation) else generate


def _template(spec: Spec) -> Any:
    if isinstance(spec, Simulation):
        return simulated(spec)
    return generated(spec) if isinstance(spec, Generation) else None
