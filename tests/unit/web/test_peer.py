"""Whose process is at the other end: read of the system, on real connections."""

from __future__ import annotations

import socket
import sys

import pytest

from triagebook.web.peer import is_ours

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells whose a connection is"
)


@pytest.mark.parametrize(
    ("family", "listens", "asks"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET6, "::1", "::1"),
        (socket.AF_INET6, "::", "127.0.0.1"),
    ],
)
def test_our_own_connection_is_ours_while_it_is_there(
    family: socket.AddressFamily, listens: str, asks: str
):
    if family == socket.AF_INET6 and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with socket.create_server(
        (listens, 0), family=family, dualstack_ipv6=listens == "::"
    ) as server:
        port = server.getsockname()[1]
        with socket.create_connection((asks, port)) as client:
            accepted, who = server.accept()
            with accepted:
                assert is_ours(who[:2], port)
                # Not of another server, nor of another client's port.
                assert not is_ours(who[:2], port + 1)
                assert not is_ours((who[0], 1), port)
                client.close()
                assert not is_ours(who[:2], port)


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "testclient", ""])
def test_what_is_no_loopback_address_is_not(host: str):
    assert not is_ours((host, 40_000), 80)
