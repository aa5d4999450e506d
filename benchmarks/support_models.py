"""A model that answers in this process, at once: SIMULATED, for measuring what is around a model."""

from __future__ import annotations

import json
import math
import zlib

from anserdb.udfs.models.base import Capabilities, ChoiceAnswer, Embed, JsonAnswer, Reply, Request, Usage

USAGE = Usage(64, 1)


class SimulatedModel:
    """Yes or no by a hash of the text; parts of a text are its sentences. It counts its calls and keeps nothing.

    Parameters
    ----------
    concurrency : calls in flight.
    """

    identity = "simulated"

    def __init__(self, concurrency: int = 64) -> None:
        self.capabilities = Capabilities(choice_scores=True, local=True, concurrency=concurrency)
        self.calls = 0

    async def call(self, request: Request) -> Reply:
        """Answer by rule."""
        self.calls += 1
        assert not isinstance(request, Embed)
        match request.answer:
            case ChoiceAnswer(choices):
                chosen = zlib.crc32(request.user.encode()) % len(choices)
                scores = {name: math.log(0.98 if at == chosen else 0.02) for at, name in enumerate(choices)}
                return Reply(choices[chosen], scores, usage=USAGE)
            case JsonAnswer():
                text = request.user.rpartition("\n")[2].partition(": ")[2]
                parts = [f"{part.rstrip('.')}." for part in text.split(". ")]
                return Reply(json.dumps({"parts": parts}), usage=USAGE)
            case _:
                return Reply(request.user[-32:], usage=USAGE)

    async def close(self) -> None:
        """Nothing to free."""
