"""``LLM_EXTRACT``: fields of a text as a STRUCT."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...engine.types import SqlType, parse_type, struct_of
from ..models.base import Answer, Capabilities, Generate, Reply
from ..prompts.inputs import DATA_RULE, fields, input_names
from ..prompts.row_values import RowValues
from ..prompts.typed_answer import constraint, parse_reply, spoken, type_words
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


def _system(sql_type: SqlType, described: Mapping[str, str]) -> str:
    # "or null" on every line, and the empty answer spelt out, are what keeps small models from inventing values:
    # on five short letters the 0.5B default model made up 1 value of 10 unstated ones, and all 10 without them
    lines = [f"- {name}: {type_words(kind)} or null{_about(described, name)}" for name, kind in sql_type.fields]
    lines += [f"- {path}{_about(described, path)}" for path in described if path not in dict(sql_type.fields)]
    wanted = "\n".join(lines)
    empty = json.dumps(dict.fromkeys((name for name, _ in sql_type.fields)), ensure_ascii=False)
    return (
        "Extract these fields from the input. Copy values only from the input; never make one up. "
        f"A field that the input does not state is null.\n{wanted}\n"
        f"An input that states nothing gives {empty}\nAnswer with one JSON object. {DATA_RULE}"
    )


def _about(described: Mapping[str, str], path: str) -> str:
    return f" ({described[path]})" if path in described else ""


def _parted(text: str) -> tuple[str, str]:
    """``'TYPE -- description'``; two dashes inside quotes belong to the type."""
    dashes = next((m.start() for m in re.finditer("--", text) if text.count("'", 0, m.start()) % 2 == 0), len(text))
    return text[:dashes].strip(), text[dashes + 2 :].strip()


def _descriptions(declared: Any, path: str = "") -> dict[str, str]:
    """What ``'TYPE -- description'`` says, by the path of the field."""
    match declared:
        case str() if path:
            words = _parted(declared)[1]
            return {path: words} if words else {}
        case dict():
            parts = (_descriptions(kind, f"{path}.{name}" if path else str(name)) for name, kind in declared.items())
            return {name: words for part in parts for name, words in part.items()}
        case [single]:
            return _descriptions(single, f"{path}[]")
    return {}


def _struct_type(declared: Any) -> SqlType:
    """The result type from ``{name: 'TYPE', …}`` or ``'STRUCT(…)'``."""
    if isinstance(declared, str):
        sql_type = parse_type(declared)
        if sql_type.kind != "struct":
            raise ValueError(f"LLM_EXTRACT gives a STRUCT, not {sql_type}; name the field: {{answer: '{declared}'}}.")
        return sql_type
    if not isinstance(declared, dict) or not declared:
        raise ValueError("LLM_EXTRACT needs its fields: {name: 'VARCHAR', amount: 'DECIMAL(9,2)'} or 'STRUCT(…)'.")
    return _field_type(declared, "")


def _field_type(declared: Any, path: str) -> SqlType:
    match declared:
        case str():
            return _named(path, declared)
        case dict() if declared:
            children = {
                name: _field_type(kind, f"{path}.{name}" if path else str(name)) for name, kind in declared.items()
            }
            return struct_of(children)
        case [single]:
            return parse_type(f"{_field_type(single, f'{path}[]')}[]")
    raise ValueError(f"The field {path} needs a type as text, such as 'VARCHAR', not {declared!r}.")


def _named(path: str, text: str) -> SqlType:
    try:
        return parse_type(_parted(text)[0])
    except ValueError as error:
        raise ValueError(f"The field {path}: {error}") from None


def _lower(arguments: Arguments, _: Capabilities) -> ExtractTask:
    sql_type, options = _struct_type(arguments.constants[1]), arguments.options
    answer = constraint(sql_type)  # first: it refuses what cannot be asked
    return ExtractTask(
        type=sql_type,
        system=_system(sql_type, _descriptions(arguments.constants[1])),
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
    returns=lambda arguments, _: _struct_type(arguments.constants[1]),
    lower=_lower,
    summary="Fields of a text as a STRUCT: `{field: 'TYPE -- what it is'}`, NULL where the text does not state them.",
    example="""
SELECT claim.product, claim.amount
FROM (SELECT LLM_EXTRACT(body, {product: 'VARCHAR', refund: 'BOOLEAN', amount: 'DECIMAL(9,2)'}) AS claim
      FROM (VALUES ('The kettle broke after a day, please return my 24.90 euros.')) AS tickets(body))
""".strip(),
)
