"""Whose process is at the other end of a connection from this machine."""

from __future__ import annotations

import os
import sys
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_ESTABLISHED = "01"


def is_ours(client: tuple[str, int], server_port: int) -> bool:
    """Tell whether the other end is a process of our own user, or of root, on this machine.

    Whoever else has an account here reaches a loopback port as well as we do. False where the
    system does not tell: it must be Linux, whose /proc/net/tcp names the owner of every socket
    (https://docs.kernel.org/networking/proc_net_tcp.html).

    Parameters
    ----------
    client : (str, int)
        Its address and port.
    server_port : int
        Ours.
    """
    try:
        address = _plain(ip_address(client[0]))
    except ValueError:
        return False
    return address.is_loopback and _owner(address, client[1], server_port) in {0, os.getuid()}


def _owner(address: IPv4Address | IPv6Address, port: int, server_port: int) -> int | None:
    for table in _TABLES:
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue  # no Linux, or no IPv6 in it
        for line in lines:
            _, local, remote, state, *rest = line.split()
            here, there = _end(local), _end(remote)
            if state == _ESTABLISHED and here == (address, port) and there[1] == server_port:
                return int(rest[3])
    return None


def _end(written: str) -> tuple[IPv4Address | IPv6Address, int]:
    """Read such as 0100007F:1F90: the address in words of the machine's own byte order."""
    number, _, port = written.partition(":")
    words = [bytes.fromhex(number[at : at + 8]) for at in range(0, len(number), 8)]
    packed = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    return _plain(ip_address(packed)), int(port, 16)


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 one stands for, where it does."""
    return getattr(address, "ipv4_mapped", None) or address
