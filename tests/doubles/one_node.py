"""A Slurm of one node, on loopback, for as long as a test or a command takes.

The daemons are the distribution's (`apt-get install slurm-wlm munge`), started in the foreground
as children of this process, in a folder of their own with a key of their own: nothing of the
machine's configuration is read or changed, and nothing stays. Slurm wants to start jobs for
anybody and so to be root; where it may not, or is not installed, `missing` says so.

    python tests/doubles/one_node.py COMMAND ...      runs a command beside such a Slurm
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "sinfo")
PATIENCE = 30.0  # seconds until the node is up
CONFIGURATION = """\
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
NodeName=one NodeHostname={host} NodeAddr=127.0.0.1 Port={node} CPUs={cores} RealMemory=65536
PartitionName=main Nodes=one Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why no Slurm can be started here; nothing where it can."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if absent:
        return f"no {', '.join(absent)}: apt-get install slurm-wlm munge"
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "Slurm's daemons want to be root"
    return ""


@contextmanager
def running(cores: int = 2) -> Iterator[dict[str, str]]:
    """Slurm, and the environment in which its commands find it; a node of so many cores.

    Raises RuntimeError, with what the daemons said, when the node is not up in time.
    """
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    os.chmod(folder, 0o755)
    (folder / "munge.key").write_bytes(os.urandom(128))
    os.chmod(folder / "munge.key", 0o600)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    host = socket.gethostname().partition(".")[0]
    control, node = _ports(2)
    named = {"folder": folder, "host": host, "control": control, "node": node, "cores": cores}
    configuration = folder / "slurm.conf"
    configuration.write_text(CONFIGURATION.format(**named), encoding="utf-8")
    (folder / "cgroup.conf").write_text("CgroupAutomount=no\n", encoding="utf-8")
    found = {"SLURM_CONF": str(configuration), "PATH": _path()}
    environment = {**os.environ, **found}
    daemons = [_munge(folder), ["slurmctld", "-D", "-i"], ["slurmd", "-D", "-N", "one"]]
    children: list[subprocess.Popen[bytes]] = []
    try:
        for command in daemons:
            children.append(_start(command, folder, environment))
            if command[0] == "munged":
                _until(lambda: (folder / "munge.socket").exists(), folder)
        _until(lambda: _idle(environment), folder)
        yield found
    finally:
        subprocess.run(["scancel", "--me"], env=environment, capture_output=True, timeout=60)
        _until(lambda: not _queue(environment), folder, quietly=True)
        for child in reversed(children):
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _munge(folder: Path) -> list[str]:
    # --force: it would refuse a folder below one that anybody may write to, and to be root
    names = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log"}
    files = [f"--{name}={folder}/munge.{end}" for name, end in names.items()]
    return ["munged", "--foreground", "--force", f"--seed-file={folder}/munge.seed", *files]


def _start(
    command: list[str], folder: Path, environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    with (folder / f"{command[0]}.out").open("ab") as log:
        return subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )


def _idle(environment: dict[str, str]) -> bool:
    asked = ["sinfo", "--noheader", "--states=idle", "--format=%T"]
    done = subprocess.run(asked, env=environment, capture_output=True, text=True, timeout=60)
    return done.stdout.strip() == "idle"


def _queue(environment: dict[str, str]) -> str:
    asked = ["squeue", "--noheader"]
    done = subprocess.run(asked, env=environment, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


def _until(true, folder: Path, quietly: bool = False) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > end:
            if quietly:
                return
            said = {path.name: path.read_text()[-500:] for path in folder.glob("*.out")}
            raise RuntimeError(f"expected a node in {PATIENCE:g} s, got none: {said}")
        time.sleep(0.1)


def _ports(count: int) -> list[int]:
    """Ports of loopback that are free now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _path() -> str:
    """Where daemons are besides: not every user's PATH has them."""
    return os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


if __name__ == "__main__":
    if why := missing():
        sys.exit(f"expected a Slurm that can be started, got {why}")
    with running() as known:
        sys.exit(subprocess.run(sys.argv[1:], env={**os.environ, **known}).returncode)
