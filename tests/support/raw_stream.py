"""A server on 127.0.0.1 that answers every POST with the bytes it is told to, cut as it is told to."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Pieces = Callable[[dict[str, Any]], AsyncIterator[bytes]]


@dataclass
class RawServer:
    """What it met: its address, the requests' bodies, and the connections that their clients closed before the end."""

    base_url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    connections: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def raw_stream(
    pieces: Pieces, *, content_type: str = "text/event-stream", chunked: bool = True, keeps: bool = True
) -> AsyncIterator[RawServer]:
    """Answer a request with ``pieces(body)``.

    Parameters
    ----------
    chunked : as HTTP/1.1 does it, or up to the connection's end as a plain proxy.
    keeps : the connection, for the next request. Without, it is closed soon and without notice, as llama.cpp's server does.
    """
    seen = RawServer()

    async def answer(
        body: dict[str, Any], last: bool, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        frame = "Transfer-Encoding: chunked\r\n" if chunked else ""
        end = "Connection: close\r\n" if last else ""
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n{frame}{end}\r\n".encode())
        async for piece in pieces(body):
            if writer.is_closing() or reader.at_eof():
                seen.left.set()
                return
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            await writer.drain()
        if chunked:
            writer.write(b"0\r\n\r\n")
            await writer.drain()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                (length,) = re.findall(rb"Content-Length: (\d+)", head)
                body = json.loads(await reader.readexactly(int(length)))
                seen.bodies.append(body)
                last = not chunked or b"Connection: close" in head
                await answer(body, last, reader, writer)
                if last or seen.left.is_set():
                    break
                if not keeps:
                    await asyncio.sleep(0.02)
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    seen.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield seen
    finally:
        server.close()
        await server.wait_closed()
