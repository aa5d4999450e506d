"""The contract of servers, on a real vLLM without a GPU: ``make test-vllm`` makes its environment and its model folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import pytest

from tests.backends.contract import Contract
from tests.backends.contract_server import ServerUnderContract

PYTHON, MODEL = os.environ.get("ANSER_TEST_VLLM_PYTHON", ""), os.environ.get("ANSER_TEST_VLLM_MODEL", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not (PYTHON and MODEL), reason="no vLLM here: `make test-vllm` makes one"),
]


class Vllm(ServerUnderContract):
    """vLLM's own server."""

    provider = "vllm"
    start_timeout_s = 600.0

    def command(self) -> Sequence[str]:
        served = ["--model", MODEL, "--served-model-name", "served", "--host", "127.0.0.1", "--port", str(self.port)]
        small = ["--max-model-len", "1024", "--enforce-eager", "--enable-prompt-tokens-details"]
        return [PYTHON, "-m", "vllm.entrypoints.openai.api_server", *served, *small]

    def running(self) -> int:
        return self.metric("vllm:num_requests_running", "vllm:num_requests_waiting")

    def written_tokens(self) -> int:
        return self.metric("vllm:generation_tokens_total")

    def cached_tokens(self) -> int:
        return self.metric("vllm:prefix_cache_hits_total")


@pytest.fixture(scope="module")
def server() -> Iterator[ServerUnderContract]:
    vllm = Vllm()
    vllm.start()
    yield vllm
    vllm.stop()


class TestVllm(Contract):
    """All of it."""
