"""The simulator as the contract's child: ``python -m tests.backends.contract_simulator_child PORT``. Some of its answers are long."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from benchmarks.server import LoopbackServer
from benchmarks.server.answers import Answer, scripted_answer
from benchmarks.server.asked import user_text


def answer(body: dict[str, Any]) -> Answer:
    """A thousand words where counting is asked for."""
    return " ".join(map(str, range(1000))) if "Count from" in user_text(body) else scripted_answer(body, 0)


async def serve(port: int) -> None:
    """Until standard input ends, so that no parent leaves it behind."""
    async with LoopbackServer(
        port=port, model="served", answer=answer, keep_bodies=False,
        cache_tokens=100_000, tokens_per_s=200.0, prefill_tokens_per_s=5000.0,
    ):  # fmt: skip
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
