"""``LLM_EXTRACT_TABLE``: every thing of a kind that a text states, each a row with its fields."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...engine.errors import InvalidAnswer
from ...engine.types import SqlType, from_json, json_schema, parse_type, quote, read_json
from ..models.base import Answer, Capabilities, Generate, JsonAnswer, Reply
from ..prompts.declared_fields import field_lines, fields_type
from ..prompts.folding import CHUNK_CHARACTERS, pieces
from ..prompts.inputs import DATA_RULE, fields, input_names, render
from ..prompts.list_answers import ListQuestion, listed
from ..prompts.rewriting import room
from ..prompts.row_values import RowValues
from ..prompts.typed_answer import spoken
from ..spec import DYNAMIC, Arguments, Ask, Emit, Parameter, SemanticFunction, Unprepared

_Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ExtractTableTask(Unprepared):
    """Asks for all rows of one row's text, in one call, or in one per piece of a long text. ``type`` is a row's."""

    type: SqlType
    system: str
    name: str
    values: RowValues
    answer: Answer
    temperature: float
    max_tokens: int | None

    async def run(self, row: Sequence[Any], ask: Ask) -> Any:
        """The rows and their numbers, from 1. One that states nothing is none: small models give it for an empty answer."""
        return await self._rows(row, ask)

    async def stream(self, row: Sequence[Any], ask: Ask, emit: Emit) -> Any:
        """As :meth:`run`. A row depends on no other, so what is emitted stands unless the whole answer is refused: because it
        breaks off, is no JSON, or has a row later on that does not fit the type."""
        return await self._rows(row, ask, lambda rows: emit(_numbered(rows)))

    def requests(self, row: Sequence[Any]) -> Sequence[Generate]:
        """One request per piece."""
        return [self._request(piece) for piece in pieces(render(self.values.of(row)[0]))]

    def notes(self) -> Mapping[str, str]:
        """The size of a piece."""
        return {"piece": f"{CHUNK_CHARACTERS:,} characters"}

    def example_answer(self, output: Any) -> str:
        """The list of structs in its object."""
        if not isinstance(output, (list, tuple)):
            raise ValueError(f"the output of an example must be a list of structs, not {output!r}.")
        return f'{{"rows": [{", ".join(spoken(item, self.type) for item in output)}]}}'

    def _request(self, piece: str) -> Generate:
        # Longer than its text, because each row names its fields; not by much, because small models end no list by themselves.
        tokens = self.max_tokens or 2 * room(piece)
        return Generate(self.system, fields((self.name,), (piece,)), self.answer, self.temperature, tokens)

    async def _rows(self, row: Sequence[Any], ask: Ask, heard: Callable[[list[_Row]], None] | None = None) -> Any:
        (value,) = self.values.of(row)
        if value is None:
            return None
        asked = self.requests(row) if render(value).strip() else ()
        questions = [ListQuestion(request, "rows", self._read, lambda: self._stated) for request in asked]
        return _numbered(await listed(questions, ask, heard))

    def _read(self, reply: Reply) -> list[_Row]:
        try:
            rows = read_json(reply.text)["rows"]
            if not isinstance(rows, list):
                raise ValueError("rows: it is no list of objects")
            return [fields for index, item in enumerate(rows) for fields in self._stated(item, f"rows[{index}]")]
        except (ValueError, TypeError, KeyError) as error:
            reason = str(error) if isinstance(error, ValueError) else "it has no rows"
            raise InvalidAnswer(f"The model answered outside {self.type}[]: {reason}.", answer=reply.text) from None

    def _stated(self, item: Any, path: str = "") -> list[_Row]:
        if item is None:
            raise ValueError("rows: it is no list of objects")
        fields = from_json(item, self.type, path)
        return [fields] if fields and any(value is not None for value in fields.values()) else []


def _numbered(rows: Sequence[_Row]) -> list[_Row]:
    return [{**fields, "ordinal": number} for number, fields in enumerate(rows, 1)]


def _answer(row: SqlType) -> JsonAnswer:
    schema = {
        "type": "object",
        "properties": {"rows": {"type": "array", "items": json_schema(row)}},
        "required": ["rows"],
        "additionalProperties": False,
    }
    return JsonAnswer(json.dumps(schema, separators=(",", ":"), ensure_ascii=False))


def _system(row: SqlType, declared: Any) -> str:
    return (
        "List everything that the input states with these fields, one object each, in the order of the input. Copy values only "
        f"from the input; never make one up. A field that the input does not state is null.\n{field_lines(row, declared)}\n"
        'Answer with one JSON object {"rows": [object, …]}; an input that states nothing gives {"rows": []}. '
        f"{DATA_RULE}"
    )


def _row_type(declared: Any) -> SqlType:
    row = fields_type(declared, "LLM_EXTRACT_TABLE")
    if any(name.lower() == "ordinal" for name, _ in row.fields):
        raise ValueError("LLM_EXTRACT_TABLE numbers its rows in a column ordinal; give the field another name.")
    return row


def _type(declared: Any) -> SqlType:
    columns = (f"{quote(name)} {kind}" for name, kind in _row_type(declared).fields)
    return parse_type(f"STRUCT({', '.join(columns)}, ordinal BIGINT)[]")


def _lower(arguments: Arguments, _: Capabilities) -> ExtractTableTask:
    (source, declared), options = arguments.constants, arguments.options
    row = _row_type(declared)
    answer = _answer(row)  # first: it refuses what cannot be asked
    return ExtractTableTask(
        type=row,
        system=_system(row, declared),
        name=input_names(arguments.texts[:1])[0],
        values=RowValues((source,), (source is DYNAMIC,)),
        answer=answer,
        temperature=options.get("temperature") or 0.0,
        max_tokens=options.get("max_tokens"),
    )


FUNCTION = SemanticFunction(
    sql_name="LLM_EXTRACT_TABLE",
    aliases=("SEM_EXTRACT_TABLE",),
    parameters=(Parameter("input"), Parameter("fields", "constant")),
    returns=lambda arguments, _: _type(arguments.constants[1]),
    lower=_lower,
    summary="Everything of a kind that a text states, one row each: `FROM mails m, LLM_EXTRACT_TABLE(m.body, {item: 'VARCHAR'}) r`.",
    example="""
SELECT m.id, r.item, r.price
FROM (VALUES (1, 'Please send one kettle at 24.90 and two lamps at 9.50 each.')) AS m(id, body),
     LATERAL LLM_EXTRACT_TABLE(m.body, {item: 'VARCHAR', price: 'DECIMAL(9,2)'}) AS r
""".strip(),
    to_many=True,
)
