"""``LLM_SPLIT``: the parts of a text, each a row.

The model only says where to cut: every part is found again in the input, so none can be reworded, and their order is that of
the input.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ...engine.errors import InvalidAnswer
from ...engine.types import parse_type, read_json
from ..models.base import Capabilities, Generate, JsonAnswer, Reply
from ..prompts.folding import CHUNK_CHARACTERS, pieces
from ..prompts.inputs import DATA_RULE, fields, input_names, render
from ..prompts.list_answers import ListQuestion, listed
from ..prompts.rewriting import room
from ..prompts.row_values import RowValues
from ..prompts.spans import consecutive, following
from ..spec import DYNAMIC, Arguments, Ask, Emit, Parameter, SemanticFunction, Unprepared

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
        return await self._rows(row, ask)

    async def stream(self, row: Sequence[Any], ask: Ask, emit: Emit) -> Any:
        """As :meth:`run`. A part's place depends on the parts before it alone, so what is emitted stands unless the whole
        answer is refused: because it breaks off, is no JSON, or has a part later on that does not stand in the text."""
        return await self._rows(row, ask, lambda parts: emit(_numbered(parts)))

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

    async def _rows(self, row: Sequence[Any], ask: Ask, heard: Callable[[list[str]], None] | None = None) -> Any:
        (value,) = self.values.of(row)
        if value is None:
            return None
        text = render(value)
        questions = map(self._question, pieces(text)) if text.strip() else ()
        return _numbered(await listed(list(questions), ask, heard))

    def _question(self, piece: str) -> ListQuestion[str]:
        return ListQuestion(self._request(piece), "parts", partial(_read, piece), partial(_reader, piece))

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


def _reader(piece: str) -> Callable[[Any], Sequence[str]]:
    """Reads the parts one after the other, as :func:`_read` does."""
    at = 0

    def read(part: Any) -> Sequence[str]:
        nonlocal at
        if not isinstance(part, str):
            raise ValueError("no text")
        if not part.strip():
            return ()
        span = following(piece, part, at)
        if span is None:
            raise ValueError("not in the text")
        at = span[1]
        return (piece[slice(*span)],)

    return read


def _numbered(parts: Sequence[str]) -> list[dict[str, Any]]:
    return [{"part": part, "ordinal": number} for number, part in enumerate(parts, 1)]


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
