"""``LLM_SIMILARITY``: how near two texts are in meaning."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...engine.errors import InvalidAnswer
from ...engine.types import DOUBLE
from ..models.base import Capabilities, Embed, Reply
from ..prompts.inputs import render
from ..prompts.row_values import RowValues
from ..spec import DYNAMIC, Arguments, Ask, Parameter, SemanticFunction, Unprepared


@dataclass(frozen=True, slots=True)
class SimilarityTask(Unprepared):
    """Cosine of the embeddings of a row's two texts."""

    values: RowValues

    async def run(self, row: Sequence[Any], ask: Ask) -> float | None:
        """The cosine, in [-1, 1]; both texts are embedded at the same time, equal ones once."""
        if None in self.values.of(row):
            return None
        # every answer is waited for, also when another failed: what was asked for is paid for, and is kept
        replies = await asyncio.gather(
            *(ask(request, _unit_vector) for request in self.requests(row)), return_exceptions=True
        )
        vectors = [_raised(reply) for reply in replies]
        return _cosine(vectors[0], vectors[-1])

    def requests(self, row: Sequence[Any]) -> Sequence[Embed]:
        """One request per distinct text."""
        # similarity is symmetric, so both texts get the same role; of the two, e5-like models mean "query" for this
        return [Embed(text, "query") for text in dict.fromkeys(map(render, self.values.of(row)))]

    def notes(self) -> Mapping[str, str]:
        """Nothing worth a line."""
        return {}


def _raised(reply: tuple[float, ...] | BaseException) -> tuple[float, ...]:
    if isinstance(reply, BaseException):
        raise reply
    return reply


def _unit_vector(reply: Reply) -> tuple[float, ...]:
    vector = reply.vector or ()
    length = math.hypot(*vector)
    if not length or not math.isfinite(length):
        raise InvalidAnswer("The model gave no usable vector. Is it an embedding model? See SHOW MODELS.")
    return tuple(number / length for number in vector)


def _cosine(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    if len(first) != len(second):
        raise InvalidAnswer(f"The model gave vectors of {len(first)} and {len(second)} numbers.")
    cosine = math.fsum(a * b for a, b in zip(first, second, strict=True))
    return max(-1.0, min(1.0, cosine))  # rounding can leave 1.0000000000000002


def _lower(arguments: Arguments, _: Capabilities) -> SimilarityTask:
    constants = arguments.constants
    return SimilarityTask(RowValues(constants, tuple(value is DYNAMIC for value in constants)))


FUNCTION = SemanticFunction(
    sql_name="LLM_SIMILARITY",
    aliases=("AI_SIMILARITY", "SEM_SIMILARITY"),
    parameters=(Parameter("a"), Parameter("b")),
    returns=lambda *_: DOUBLE,
    lower=_lower,
    model_kind="embed",
    summary="How near two texts are in meaning: the cosine of their embeddings, from -1 to 1.",
    example="""
SELECT title, LLM_SIMILARITY(title, 'birds in autumn') AS nearness
FROM (VALUES ('A quiet film about geese'), ('The loudest car chase ever made')) AS films(title)
ORDER BY nearness DESC
""".strip(),
)
