"""Prefect: its server is killed while a flow runs, or the flow's own process is.

The server is a real one, on loopback, with a database that outlives it; the flow is the command as
a user types it, told by PREFECT_API_URL where the server is.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random
from types import MappingProxyType

from tests.faults.commands import Command, End
from tests.faults.kills import await_blocks
from tests.faults.lab import Server
from tests.faults.moments import At, Signal, nothing
from tests.faults.scene import Bench, Scene
from tests.faults.verdict import MISSED, Injection

IMPATIENT = {"PREFECT_CLIENT_MAX_RETRIES": "1"}


@dataclass(frozen=True)
class Beside:
    """Called in a process: Prefect will be told where a server is."""

    server: dict[str, str]
    then: Callable[[], object] = nothing

    def __call__(self) -> None:
        os.environ |= self.server
        self.then()


def _flow(
    scene: Scene,
    server: Server,
    then: Callable[[], object] = nothing,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Command:
    """The verb's command as a Prefect flow."""
    mine = {k: v for k, v in server.lab.environment.items() if k.startswith("PREFECT_")}
    words = [one for one in scene.words() if one != "--no-prefect"]
    return scene.command(words, Beside({**mine, **settings}, then))


def server(bench: Bench, draw: Random, verb: str) -> Injection:
    """SIGKILL of the server, after so many blocks are done.

    In half of the cases it is started again while the flow waits for it; in the others the flow is
    told to be less patient than Prefect is by itself (two minutes), so that it gives up.
    """
    prefect, back = bench.server, draw.random() < 0.5
    prefect.start()
    with bench.wide.scene(verb) as scene:
        command = _flow(scene, prefect, settings={} if back else IMPATIENT)
        blocks = len(bench.wide.clean.blocks(scene.spec))
        await_blocks(scene, draw.randrange(blocks - 1), lambda: command.running)
        time.sleep(draw.uniform(0, 0.05))
        hit = command.running and not scene.archive.sealed(scene.spec)
        prefect.kill()
        if back:
            prefect.start()
        end = command.end()
        if not hit:
            return Injection(verb, MISSED)
        return scene.settle(end, again=partial(_again, scene, prefect), remedy=prefect.start)


def flow(bench: Bench, draw: Random, verb: str) -> Injection:
    """SIGKILL of the flow's process, before a durable event."""
    prefect = bench.server
    prefect.start()
    with bench.small.scene(verb) as scene:
        kill = At(draw.randrange(scene.events), Signal(signal.SIGKILL))
        end = _flow(scene, prefect, kill).end()
        if end.code != -signal.SIGKILL or not scene.result.exists():
            return Injection(verb, MISSED)
        return scene.settle(end, again=partial(_again, scene, prefect))


def _again(scene: Scene, server: Server) -> End:
    return _flow(scene, server).end()
