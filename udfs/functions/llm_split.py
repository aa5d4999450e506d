"""``LLM_SPLIT``: the parts of a text, each a row.

The model only says where to cut: every part is found again in the input, so none can be reworded, and their order is that of
the input.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ...engine.errors import InvalidAnswer
from ...engine.types import parse_type, read_json
from ..models.base import Capabilities, Generate, JsonAnswer, Reply
from ..prompts.folding import CHUNK_CHARACTERS, ended, pieces
from ..prompts.inputs import DATA_RULE, fields, input_names, render
from ..prompts.rewriting import room
from ..prompts.row_values import RowValues
from ..prompts.spans import consecutive
from ..spec import DYNAMIC, Arguments, Ask, Parameter, SemanticFunction, Unprepared

_TYPE = "STRUCT(part VARCHAR, ordinal BIGINT)[]"
_SCHEMA = {
    "type": "object",
    "properties": {"parts": {"type": "array", "items": {"type": "string"}}},
    "required": ["parts"],
    "additionalProperties": False,
}
_ANSWER = JsonAnswer(json.dumps(_SCHEMA))


@dataclass(frozen=True, slots=True)
class SplitTask(Unprepared):
    """Asks for the parts of one row's text, in one call, or in one per piece of a long text."""

    system: str
    name: str
    values: RowValues
    temperature: float
    max_tokens: int | None

    async def run(self, row: Sequence[Any], ask: Ask) -> Any:
        """The parts and their numbers, from 1; a blank text has none."""
        (value,) = self.values.of(row)
        if value is None:
            return None
        text = render(value)
        parts = await self._parts(text, ask) if text.strip() else []
        return [{"part": part, "ordinal": number} for number, part in enumerate(parts, 1)]

    def requests(self, row: Sequence[Any]) -> Sequence[Generate]:
        """One request per piece."""
        return [self._request(piece) for piece in pieces(render(self.values.of(row)[0]))]

    def notes(self) -> Mapping[str, str]:
        """The size of a piece."""
        return {"piece": f"{CHUNK_CHARACTERS:,} characters"}

    def example_answer(self, output: Any) -> str:
        """The list of parts in its object."""
        if not isinstance(output, (list, tuple)) or not all(isinstance(part, str) for part in output):
            raise ValueError(f"the output of an example must be a list of texts, not {output!r}.")
        return json.dumps({"parts": list(output)}, ensure_ascii=False)

    async def _parts(self, text: str, ask: Ask) -> list[str]:
        asked = [ask(self._request(piece), partial(_read, piece)) for piece in pieces(text)]
        return [part for parts in await ended(asked) for part in parts]

    def _request(self, piece: str) -> Generate:
        tokens = self.max_tokens or room(piece)
        return Generate(self.system, fields((self.name,), (piece,)), _ANSWER, self.temperature, tokens)


def _read(piece: str, reply: Reply) -> list[str]:
    """The parts, in the words of the piece."""
    try:
        parts = read_json(reply.text)["parts"]
    except (ValueError, TypeError, KeyError):
        raise InvalidAnswer("The answer is no list of parts.", answer=reply.text) from None
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise InvalidAnswer("The answer is no list of parts.", answer=reply.text)
    spans = consecutive(piece, [part for part in parts if part.strip()])
    if isinstance(spans, str):
        raise InvalidAnswer(
            f"The answer has the part {spans!r:.80}, which does not stand in the text, or not after the one before it.",
            answer=reply.text,
        )
    return [piece[start:end] for start, end in spans]


def _system(unit: str) -> str:
    return (
        f"Split the input into {unit}. Give each one exactly as it is written there, word for word, in the order of the input, "
        'and none twice. Answer with one JSON object {"parts": [words of the input, …]}; where there is none, '
        f'{{"parts": []}}. {DATA_RULE}'
    )


def _lower(arguments: Arguments, _: Capabilities) -> SplitTask:
    (source, unit), options = arguments.constants, arguments.options
    if not isinstance(unit, str) or not unit.strip():
        raise ValueError("LLM_SPLIT needs to know into what, as a text literal: LLM_SPLIT(body, 'sentences').")
    return SplitTask(
        system=_system(unit.strip()),
        name=input_names(arguments.texts[:1])[0],
        values=RowValues((source,), (source is DYNAMIC,)),
        temperature=options.get("temperature") or 0.0,
        max_tokens=options.get("max_tokens"),
    )


FUNCTION = SemanticFunction(
    sql_name="LLM_SPLIT",
    aliases=("SEM_SPLIT",),
    parameters=(Parameter("input"), Parameter("unit", "constant")),
    returns=lambda *_: parse_type(_TYPE),
    lower=_lower,
    summary="The parts of a text, word for word, one row each: `FROM docs d, LLM_SPLIT(d.body, 'claims') s(claim)`.",
    example="""
SELECT d.id, s.ordinal, s.claim
FROM (VALUES (1, 'The kettle broke after a day. The lid never closed.')) AS d(id, body),
     LATERAL LLM_SPLIT(d.body, 'claims') AS s(claim)
""".strip(),
    to_many=True,
)
