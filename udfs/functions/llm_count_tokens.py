"""``LLM_COUNT_TOKENS``: how many tokens of a model a text is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...engine.types import SqlType
from ..models.base import Capabilities, Request
from ..prompts.inputs import render
from ..prompts.row_values import RowValues
from ..spec import DYNAMIC, Arguments, Ask, Parameter, SemanticFunction, Unprepared

BIGINT = SqlType("BIGINT", "bigint")


@dataclass(frozen=True, slots=True)
class CountTask(Unprepared):
    """Counts with the model's tokenizer; the model itself is asked nothing, so nothing is stored or paid."""

    count: Callable[[str], Awaitable[int]]
    values: RowValues

    async def run(self, row: Sequence[Any], ask: Ask) -> int | None:
        """The number of tokens, as the text stands: without prompt and chat template."""
        del ask
        (value,) = self.values.of(row)
        return None if value is None else await self.count(render(value))

    def requests(self, row: Sequence[Any]) -> Sequence[Request]:
        """None."""
        del row
        return ()

    def notes(self) -> Mapping[str, str]:
        """How it is counted."""
        return {"tokens": "counted by the model's own tokenizer, without a call"}


def _lower(arguments: Arguments, capabilities: Capabilities) -> CountTask:
    if capabilities.count_tokens is None:
        raise ValueError(
            f"LLM_COUNT_TOKENS counts with the model's own tokenizer, and that of {arguments.options.get('model')} is not "
            "at hand; an estimate would pass for a count. Models that run in this process can, model := 'small', and "
            "servers with /tokenize, such as vLLM."
        )
    constants = arguments.constants
    return CountTask(capabilities.count_tokens, RowValues(constants, tuple(value is DYNAMIC for value in constants)))


FUNCTION = SemanticFunction(
    sql_name="LLM_COUNT_TOKENS",
    aliases=("AI_COUNT_TOKENS", "SEM_COUNT_TOKENS"),
    parameters=(Parameter("input"),),
    returns=lambda *_: BIGINT,
    lower=_lower,
    summary="How many tokens a text is, counted by the model's own tokenizer: in this process, or at a server that offers /tokenize.",
    example="""
SELECT body, LLM_COUNT_TOKENS(body) AS tokens
FROM (VALUES ('Where is my parcel?'), ('I was charged twice.')) AS tickets(body)
""".strip(),
)
