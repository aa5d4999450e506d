"""An HTTP answer that is read while it comes: who reads it, and how it can fail in the middle."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import aiohttp

LAST_BYTES_S = 0.1
"""How long a connection may take to end after the answer has; one that takes longer is closed and not used again."""
# Of a server that streams nothing, and of a proxy's page. Streams come as more than text/event-stream.
_AT_ONCE = ("application/json", "text/html")


class Sink(Protocol):
    """Takes the bytes of an answer as they come."""

    def feed(self, chunk: bytes) -> bool:
        """Whether this was all.

        Raises
        ------
        GaveUp : it is an error. Unreadable : it is nothing that can be read.
        """
        ...

    def close(self) -> None:
        """No more bytes come; raises as :meth:`feed`."""
        ...

    @property
    def whole(self) -> bool:
        """Whether they are a whole answer."""
        ...

    def reply(self) -> dict[str, Any]:
        """The object that they make."""
        ...


class GaveUp(Exception):  # noqa: N818 (internal: it becomes one of ours)
    """The server reports an error in the middle of its answer: the status it would have had before, and its words."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status)
        self.status, self.body = status, body


class Unreadable(Exception):  # noqa: N818 (internal: it becomes one of ours)
    """The server sends something else than what was asked for."""

    def __init__(self, raw: bytes) -> None:
        super().__init__()
        self.raw = raw


def streamed(response: aiohttp.ClientResponse) -> bool:
    """Whether a server does as it was asked to."""
    kind = response.content_type
    return response.status < 300 and kind not in _AT_ONCE and not kind.endswith("+json")


async def pour(response: aiohttp.ClientResponse, sink: Sink) -> None:
    """Hand the bytes over as they come; raises what ``sink`` raises, and aiohttp's errors."""
    async for chunk in response.content.iter_any():
        if sink.feed(chunk):
            break
    else:
        sink.close()
        return
    # A connection that is left before its last byte cannot be used again. That byte is mostly here already; and if it never
    # comes, the answer is whole all the same.
    from aiohttp import ClientError

    with suppress(TimeoutError, ClientError):
        async with asyncio.timeout(LAST_BYTES_S):
            await response.content.read()
