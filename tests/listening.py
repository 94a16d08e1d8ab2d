"""The sockets that a process and its children listen on, as the kernel has them."""

import os
from pathlib import Path

import psutil

LISTEN = "0A"
"""State of a listening socket in /proc/net/tcp (include/net/tcp_states.h)."""

# 127.0.0.1, ::1 and ::ffff:127.0.0.1, in words of the machine's byte order.
LOOPBACK = ("0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F")


def family(pid: int | None = None) -> list[psutil.Process]:
    """Returns a process and all that it has started."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def listening(processes: list[psutil.Process]) -> set[str]:
    """Returns host:port, in hex, of every TCP socket that processes listen on."""
    inodes = set()
    for process in processes:
        for name in Path(f"/proc/{process.pid}/fd").iterdir():
            try:
                inodes.add(os.readlink(name))
            except OSError:
                continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN and f"socket:[{fields[9]}]" in inodes:
                found.add(fields[1])
    return found


def is_loopback(address: str) -> bool:
    return address.split(":")[0] in LOOPBACK


def port_of(address: str) -> int:
    return int(address.split(":")[1], 16)
