"""Connections whose patience is the kernel's.

A timer on the event loop cannot tell a server that does not answer from a loop that did not look: once something has kept the loop
busy for that long, it goes off, though the connection was there all the while. The kernel sees the server's answer when it comes.
"""

from __future__ import annotations

import socket
from typing import Any

SYN_RETRIES = 5
"""How often the kernel asks again, after 1, 3, 7, 15 and 31 seconds; it gives up after 63. Where that cannot be set, what the
system does by itself (75 s on macOS, 21 s on Windows)."""


def patient_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket for one of ``socket.getaddrinfo``'s answers, not yet connected."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    if hasattr(socket, "TCP_SYNCNT"):  # Linux
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, SYN_RETRIES)
    return made
