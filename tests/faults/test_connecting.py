"""Connecting while the event loop is busy, and to somebody who never answers."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator

import pytest

from anserdb.engine.errors import ModelUnavailable
from anserdb.udfs.models import http_sockets
from anserdb.udfs.models.base import Generate, ModelSpec
from anserdb.udfs.models.openai_compatible import create
from tests.support.loopback import LoopbackServer

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(socket, "TCP_SYNCNT"), reason="Linux sets the patience")]


@pytest.fixture(autouse=True)
def three_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel asks once more after a second, and gives up two seconds later."""
    monkeypatch.setattr(http_sockets, "SYN_RETRIES", 1)


@pytest.fixture
def silent() -> Iterator[str]:
    """An address where nobody takes the connections: what the kernel would queue for them is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        filling = [socket.socket() for _ in range(4)]
        for one in filling:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1"
        for one in filling:
            one.close()


async def test_a_busy_loop_is_no_dead_server() -> None:
    with LoopbackServer() as server:
        model = create(ModelSpec("remote", "openai", {"base_url": server.base_url, "timeout_s": 30.0}))
        calls = [asyncio.create_task(model.call(Generate("", f"row {number}"))) for number in range(20)]
        while server.stats.in_flight == 0 and not any(call.done() for call in calls):
            await asyncio.sleep(0)  # until the first connections are on their way
        time.sleep(4)
        assert all(reply.text for reply in await asyncio.gather(*calls))
        await model.close()


async def test_a_server_that_never_answers_is_given_up_by_the_kernel(silent: str) -> None:
    model = create(ModelSpec("remote", "openai", {"base_url": silent, "timeout_s": 30.0}))
    with pytest.raises(ModelUnavailable, match="no connection to"):
        await model.call(Generate("", "x"))
    await model.close()
