"""``LLM_EXTRACT``: fields of a text as a STRUCT."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...engine.types import SqlType
from ..models.base import Answer, Capabilities, Generate, Reply
from ..prompts.declared_fields import field_lines, fields_type
from ..prompts.inputs import DATA_RULE, fields, input_names
from ..prompts.row_values import RowValues
from ..prompts.typed_answer import constraint, parse_reply, spoken
from ..spec import DYNAMIC, Arguments, Ask, Parameter, SemanticFunction, Unprepared

_MAX_TOKENS = 512


@dataclass(frozen=True, slots=True)
class ExtractTask(Unprepared):
    """Asks for all fields of one row's text in one call."""

    type: SqlType
    system: str
    names: tuple[str, ...]
    values: RowValues
    answer: Answer
    temperature: float
    max_tokens: int

    async def run(self, row: Sequence[Any], ask: Ask) -> Any:
        """The row's struct as a dict; a field that the text does not state is ``None``."""
        if None in self.values.of(row):
            return None
        return await ask(self.requests(row)[0], self._struct)

    def requests(self, row: Sequence[Any]) -> Sequence[Generate]:
        """One request."""
        return (
            Generate(
                self.system, fields(self.names, self.values.of(row)), self.answer, self.temperature, self.max_tokens
            ),
        )

    def notes(self) -> Mapping[str, str]:
        """Nothing worth a line."""
        return {}

    def example_answer(self, output: Any) -> str:
        """The struct as JSON."""
        return spoken(output, self.type)

    def _struct(self, reply: Reply) -> Any:
        return parse_reply(reply, self.type)


def _system(sql_type: SqlType, declared: Any) -> str:
    empty = json.dumps(dict.fromkeys((name for name, _ in sql_type.fields)), ensure_ascii=False)
    return (
        "Extract these fields from the input. Copy values only from the input; never make one up. "
        f"A field that the input does not state is null.\n{field_lines(sql_type, declared)}\n"
        f"An input that states nothing gives {empty}\nAnswer with one JSON object. {DATA_RULE}"
    )


def _type(declared: Any) -> SqlType:
    return fields_type(declared, "LLM_EXTRACT")


def _lower(arguments: Arguments, _: Capabilities) -> ExtractTask:
    sql_type, options = _type(arguments.constants[1]), arguments.options
    answer = constraint(sql_type)  # first: it refuses what cannot be asked
    return ExtractTask(
        type=sql_type,
        system=_system(sql_type, arguments.constants[1]),
        names=input_names(arguments.texts[:1]),
        values=RowValues(arguments.constants[:1], (arguments.constants[0] is DYNAMIC,)),
        answer=answer,
        temperature=options.get("temperature") or 0.0,
        max_tokens=options.get("max_tokens") or _MAX_TOKENS,
    )


FUNCTION = SemanticFunction(
    sql_name="LLM_EXTRACT",
    aliases=("AI_EXTRACT", "SEM_EXTRACT"),
    parameters=(Parameter("input"), Parameter("fields", "constant")),
    returns=lambda arguments, _: _type(arguments.constants[1]),
    lower=_lower,
    summary="Fields of a text as a STRUCT: `{field: 'TYPE -- what it is'}`, NULL where the text does not state them.",
    example="""
SELECT claim.product, claim.amount
FROM (SELECT LLM_EXTRACT(body, {product: 'VARCHAR', refund: 'BOOLEAN', amount: 'DECIMAL(9,2)'}) AS claim
      FROM (VALUES ('The kettle broke after a day, please return my 24.90 euros.')) AS tickets(body))
""".strip(),
)
