"""``LLM_EMBED``: a text as a vector."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ...engine.errors import InvalidAnswer
from ...engine.types import SqlType, parse_type
from ..models.base import Capabilities, Embed, Reply
from ..prompts.inputs import render
from ..prompts.row_values import RowValues
from ..spec import DYNAMIC, Arguments, Ask, Option, Parameter, SemanticFunction, Unprepared

Role = Literal["query", "passage"]


@dataclass(frozen=True, slots=True)
class EmbedTask(Unprepared):
    """Embeds one text per row. ``dimension`` is what the model announced, ``None`` if it did not."""

    dimension: int | None
    role: Role
    values: RowValues

    async def run(self, row: Sequence[Any], ask: Ask) -> tuple[float, ...] | None:
        """The vector of the row's text."""
        if None in self.values.of(row):
            return None
        return await ask(self.requests(row)[0], self._vector)

    def requests(self, row: Sequence[Any]) -> Sequence[Embed]:
        """One request."""
        return (Embed(render(self.values.of(row)[0]), self.role),)

    def notes(self) -> Mapping[str, str]:
        """Nothing worth a line."""
        return {}

    def _vector(self, reply: Reply) -> tuple[float, ...]:
        vector = reply.vector
        if not vector or not all(map(math.isfinite, vector)):
            raise InvalidAnswer("The model gave no usable vector. Is it an embedding model? See SHOW MODELS.")
        if self.dimension not in (None, len(vector)):
            raise InvalidAnswer(f"The model gave {len(vector)} numbers and had announced {self.dimension}.")
        return vector


def _role(value: Any) -> Role:
    match str(value).lower():
        case "query":
            return "query"
        case "passage":
            return "passage"
    raise ValueError(f"must be 'passage' (a text to be found) or 'query' (a text to find by), not {value!r}.")


def _returns(_: Arguments, capabilities: Capabilities) -> SqlType:
    return parse_type(f"FLOAT[{capabilities.dimension or ''}]")


def _lower(arguments: Arguments, capabilities: Capabilities) -> EmbedTask:
    constants = arguments.constants
    values = RowValues(constants, tuple(value is DYNAMIC for value in constants))
    return EmbedTask(capabilities.dimension, arguments.options.get("role") or "passage", values)


FUNCTION = SemanticFunction(
    sql_name="LLM_EMBED",
    aliases=("AI_EMBED", "SEM_EMBED"),
    parameters=(Parameter("input"),),
    options=(Option("role", _role, "'passage' (default) for texts to be found, 'query' for the text to find them by"),),
    returns=_returns,
    lower=_lower,
    model_kind="embed",
    summary="The embedding of a text: FLOAT[n], where n is the model's dimension.",
    example="""
SELECT title, len(LLM_EMBED(title)) AS dimension
FROM (VALUES ('A quiet film about geese'), ('The loudest car chase ever made')) AS films(title)
""".strip(),
)
