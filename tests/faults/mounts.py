"""Small disks of one's own: a tmpfs in a mount namespace that nobody else sees."""

from __future__ import annotations

import subprocess
from pathlib import Path


def private_mounts() -> list[str] | None:
    """The command that runs another one where it may mount; None where the system has none."""
    for command in (["unshare", "--mount", "--map-root-user"], ["unshare", "--mount"]):
        try:
            attempt = subprocess.run(
                [*command, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True
            )
        except FileNotFoundError:
            return None
        if attempt.returncode == 0:
            return command
    return None


def mount(folder: Path, *options: str) -> None:
    """Mounts something on a folder, or again with other options."""
    subprocess.run(["mount", *options, str(folder)], check=True)


def unmount(folder: Path) -> None:
    """Takes away what is mounted on a folder."""
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
