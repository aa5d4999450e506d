"""``LLM_COMPLETE``: the answer to a prompt about a row, as text or as any other type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...engine.types import VARCHAR, SqlType, from_json, parse_type
from ..models.base import Answer, Capabilities, Generate, Reply
from ..prompts.inputs import DATA_RULE, fields, input_names
from ..prompts.list_answers import ListQuestion, listed
from ..prompts.row_values import RowValues
from ..prompts.template import instruction
from ..prompts.typed_answer import answer_type, constraint, form_words, parse_reply, spoken
from ..spec import DYNAMIC, Arguments, Ask, Emit, Option, Parameter, SemanticFunction, Unprepared

_MAX_TOKENS = 512


@dataclass(frozen=True, slots=True)
class CompleteTask(Unprepared):
    """Asks one prompt of each row's inputs."""

    type: SqlType
    system: str
    names: tuple[str, ...]
    values: RowValues
    answer: Answer
    temperature: float
    max_tokens: int

    async def run(self, row: Sequence[Any], ask: Ask) -> Any:
        """The row's answer in the announced type."""
        if None in self.values.of(row):
            return None
        return await ask(self.requests(row)[0], self._value)

    def requests(self, row: Sequence[Any]) -> Sequence[Generate]:
        """One request."""
        user = fields(self.names, self.values.of(row)) if self.names else "Answer now."
        return (Generate(self.system, user, self.answer, self.temperature, self.max_tokens),)

    def notes(self) -> Mapping[str, str]:
        """Nothing worth a line."""
        return {}

    def example_answer(self, output: Any) -> str:
        """The answer in its type."""
        return spoken(output, self.type)

    def _value(self, reply: Reply) -> Any:
        return parse_reply(reply, self.type)


@dataclass(frozen=True, slots=True)
class CompleteListTask(CompleteTask):
    """Asks for a list, whose elements are known one by one."""

    async def stream(self, row: Sequence[Any], ask: Ask, emit: Emit) -> Any:
        """As :meth:`run`. An element depends on no other, so what is emitted stands unless the whole answer is refused."""
        if None in self.values.of(row):
            return None
        # Servers that want an object around every answer get the list as its value.
        question = ListQuestion(self.requests(row)[0], "value", self._list, lambda: self._element, bare=True)
        return await listed([question], ask, emit)

    def _list(self, reply: Reply) -> list[Any]:
        """An answer that is null has no elements, like an empty one."""
        return self._value(reply) or []

    def _element(self, element: Any) -> Sequence[Any]:
        return (from_json(element, self.type.child),)


def _type(arguments: Arguments) -> SqlType:
    text = arguments.options.get("returns")
    return parse_type(text) if text else VARCHAR


def _lower(arguments: Arguments, _: Capabilities) -> CompleteTask:
    prompt, options, sql_type = arguments.constants[0], arguments.options, _type(arguments)
    if not isinstance(prompt, str) or not prompt.strip():
        raise ValueError(
            "LLM_COMPLETE needs its prompt as a text literal; pass columns after it: LLM_COMPLETE('…', body)."
        )
    names, inputs = input_names(arguments.texts[1:]), arguments.constants[1:]
    return (CompleteListTask if sql_type.kind == "list" else CompleteTask)(
        type=sql_type,
        system="\n".join(
            [instruction(prompt, names, arguments.texts[1:]), form_words(sql_type), *([DATA_RULE] if names else [])]
        ),
        names=names,
        values=RowValues(inputs, tuple(value is DYNAMIC for value in inputs)),
        answer=constraint(sql_type),
        temperature=options.get("temperature") or 0.0,
        max_tokens=options.get("max_tokens") or _MAX_TOKENS,
    )


FUNCTION = SemanticFunction(
    sql_name="LLM_COMPLETE",
    aliases=("AI_COMPLETE", "AI_GENERATE", "SEM_COMPLETE"),
    parameters=(Parameter("prompt", "constant"), Parameter("input", variadic=True)),
    options=(Option("returns", answer_type, "the type of the answer, 'VARCHAR' if not given"),),
    returns=lambda arguments, _: _type(arguments),
    lower=_lower,
    summary="The answer to a prompt about a row's values: VARCHAR, or the type that `returns` names.",
    example="""
SELECT city, LLM_COMPLETE('In which country is this city?', city) AS country
FROM (VALUES ('Lyon'), ('Kyoto')) AS cities(city)
""".strip(),
)
