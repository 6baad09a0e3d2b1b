"""What listens because of us, listens on loopback alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest
import torch.distributed as dist

from pushforward.ranks import LOOPBACK

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc who listens")
LISTEN = "0A"
# prints, of itself and the processes that it started, who listens
TELL = "\nimport os, sys\nprint('\\nlistens', os.getpid(), flush=True)\nsys.stdin.readline()\n"
SERVER = f"""
from pushforward.flows.terminal import prefect_in_terminal
with prefect_in_terminal():
    {TELL.strip().replace(chr(10), chr(10) + "    ")}
"""
RANK = f"""
from pushforward.ranks import joined
with joined() as ranks:
    ranks.wait()
    {TELL.strip().replace(chr(10), chr(10) + "    ")}
    ranks.wait()
"""


def address(hexadecimal: str) -> IPv4Address | IPv6Address:
    """An address as /proc has it: words of four bytes, each the wrong way round."""
    raw = bytes.fromhex(hexadecimal)
    words = [raw[i : i + 4][::-1] for i in range(0, len(raw), 4)]
    found = ip_address(b"".join(words))
    return getattr(found, "ipv4_mapped", None) or found


def family(pid: int) -> set[int]:
    """A process and all that it started."""
    children = Path(f"/proc/{pid}/task").glob("*/children")
    found = {int(child) for path in children for child in path.read_text().split()}
    return {pid}.union(*map(family, found))


def listening(pids: set[int]) -> list[tuple[IPv4Address | IPv6Address, int]]:
    """The addresses and ports that some processes listen on."""
    inodes = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                inodes.add(os.readlink(link))
            except FileNotFoundError:
                continue
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN and f"socket:[{fields[9]}]" in inodes:
                host, _, port = fields[1].partition(":")
                found.append((address(host), int(port, 16)))
    return found


def free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as one:
        return one.getsockname()[1]


def start(script: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def heard(process: subprocess.Popen[str]) -> list[tuple[IPv4Address | IPv6Address, int]]:
    """Who listens when a script has come to where it says so."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("listens"):
            return listening(family(int(line.split()[1])))
    raise AssertionError(f"ended with {process.wait()}")


def finish(process: subprocess.Popen[str]) -> None:
    process.communicate("\n", timeout=100)
    assert process.returncode == 0


def test_who_listens_everywhere_is_seen() -> None:
    """Negative control."""
    with socket.create_server(("", 0)) as everywhere, socket.create_server((LOOPBACK, 0)) as here:
        found = {port: host for host, port in listening({os.getpid()})}
        assert not found[everywhere.getsockname()[1]].is_loopback
        assert found[here.getsockname()[1]].is_loopback


def test_torchs_own_store_listens_everywhere() -> None:
    """Which is why the ranks do not let it: negative control of the test below."""
    port = free_port()
    store = dist.TCPStore(LOOPBACK, port, 1, True)  # type: ignore[attr-defined]
    found = {other: host for host, other in listening({os.getpid()})}
    assert not found[port].is_loopback
    del store


def test_ranks_of_one_machine_meet_on_loopback() -> None:
    port = free_port()
    ranks = [
        start(
            RANK,
            RANK=str(rank),
            WORLD_SIZE="2",
            LOCAL_RANK=str(rank),
            MASTER_PORT=str(port),
            MASTER_ADDR=LOOPBACK,
        )
        for rank in range(2)
    ]
    found = [one for rank in ranks for one in heard(rank)]
    for rank in ranks:
        assert rank.stdin is not None
        rank.stdin.write("\n")
        rank.stdin.flush()
    for rank in ranks:
        finish(rank)
    assert port in {other for _, other in found}
    assert [host for host, _ in found if not host.is_loopback] == []


def test_prefects_temporary_server_listens_on_loopback(tmp_path: Path) -> None:
    process = start(SERVER, PREFECT_HOME=str(tmp_path), PREFECT_API_URL="")
    found = heard(process)
    finish(process)
    assert found
    assert [host for host, _ in found if not host.is_loopback] == []


def test_no_server_is_told_to_listen_everywhere() -> None:
    from prefect.settings import get_current_settings

    assert get_current_settings().server.api.host == LOOPBACK
    root = Path(__file__).resolve().parents[2]
    for folder in ("solvers", "generative", "pipeline", "flows", "catalogs"):
        for path in (root / folder).rglob("*"):
            if path.suffix in (".py", ".yaml", ".sbatch"):
                assert "0.0.0.0" not in path.read_text("utf-8"), path
