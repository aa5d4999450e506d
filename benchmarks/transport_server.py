"""A SIMULATED server that costs next to nothing: one answer to every request, after a while, over real HTTP.

``support_server`` answers as a model would; here the server shares the machine with clients whose CPU is measured, and at
5,000 answers a second it must not be what they wait for. So it speaks just the HTTP that they do (keep-alive,
``Content-Length``) on asyncio's transports, in a process of its own that ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, cast

from .server.child import Child


class FixedServer(Child):
    """A running child.

    Parameters
    ----------
    latency_s : time of each answer in seconds. reply : the answer.
    """

    def __init__(self, *, latency_s: float, reply: dict[str, Any]) -> None:
        self.latency_s = latency_s
        super().__init__("benchmarks.transport_server", latency_s, json.dumps(reply))

    def counts(self) -> tuple[int, int]:
        """Requests since the last time this was asked, and the most of them that were in flight at once."""
        self._in.write("\n")
        self._in.flush()
        requests, most = map(int, self._out.readline().split())
        return requests, most


class _Counts:
    def __init__(self) -> None:
        self.requests = self.in_flight = self.most = 0


class _Connection(asyncio.Protocol):
    """One client's connection; it sends a request only when the one before is answered."""

    def __init__(self, latency_s: float, reply: bytes, counts: _Counts) -> None:
        self._latency_s, self._reply, self._counts = latency_s, reply, counts
        self._buffer = b""
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, blank, body = self._buffer.partition(b"\r\n\r\n")
        if not blank or len(body) < _content_length(head):
            return
        self._buffer = b""
        counts = self._counts
        counts.requests += 1
        counts.in_flight += 1
        counts.most = max(counts.most, counts.in_flight)
        self._loop.call_later(self._latency_s, self._answer)

    def _answer(self) -> None:
        self._counts.in_flight -= 1
        self._transport.write(self._reply)


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0


async def _serve(latency_s: float, reply: str) -> None:
    body, counts = reply.encode(), _Counts()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    answer, loop = head.encode() + body, asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(latency_s, answer, counts), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(counts.requests, counts.most, flush=True)
        counts.requests = counts.most = 0


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1]), sys.argv[2]))
