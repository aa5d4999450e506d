"""The contract of servers, on the simulator, over loopback HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import pytest

from tests.backends.contract import Contract
from tests.backends.contract_server import PYTHON, ServerUnderContract


class Simulator(ServerUnderContract):
    """A token is a word, 200 of which it writes in a second."""

    options = {"logprobs": True}  # noqa: RUF012

    def command(self) -> Sequence[str]:
        return [PYTHON, "-m", "tests.backends.contract_simulator_child", str(self.port)]

    def running(self) -> int:
        return int(json.loads(self.get("/stats"))["in_flight"])

    def written_tokens(self) -> int:
        return int(json.loads(self.get("/bill"))["total"]["tokens_out"])

    def cached_tokens(self) -> int:
        return int(json.loads(self.get("/bill"))["total"]["tokens_cached"])


@pytest.fixture(scope="module")
def server() -> Iterator[ServerUnderContract]:
    simulator = Simulator()
    simulator.start()
    yield simulator
    simulator.stop()


class TestSimulator(Contract):
    """All of it."""
