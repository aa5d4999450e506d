"""``LLM_AGG``: one answer about all values of a group, as an instruction says."""

from __future__ import annotations

from ...engine.types import VARCHAR, SqlType, parse_type
from ..group_task import GroupTask
from ..models.base import Capabilities, Reply
from ..prompts.folding import Fold, Step
from ..prompts.inputs import input_names
from ..prompts.typed_answer import answer_type, constraint, form_words, parse_reply
from ..spec import DYNAMIC, Arguments, Option, Parameter, SemanticFunction

_MAX_TOKENS = 512


def _fold(name: str, instruction: str, sql_type: SqlType, temperature: float, max_tokens: int) -> Fold:
    answer, form = constraint(sql_type), form_words(sql_type)

    def asked(count: int) -> str:
        return f"Take these {count} inputs together. {instruction}" if count > 1 else instruction

    def notes(_: int) -> str:
        return "Write down, in a few sentences, what is needed for it."

    return Fold(
        name=name,
        notes="note",
        whole=Step(f"The inputs are one collection. {instruction}\n{form}", asked, answer),
        part=Step(
            f"The inputs are one part of a larger collection. This is asked of all of it: {instruction}\n"
            "Do not answer it yet. Write down what these inputs hold that is needed for it, with names, figures and counts.",
            notes,
        ),
        merge=Step(
            f"The inputs are notes on parts of one collection. This is asked of all of it: {instruction}\n"
            "Do not answer it yet. Merge the notes into one: keep names and figures, add up counts.",
            notes,
        ),
        last=Step(f"The inputs are notes on all parts of one collection. {instruction}\n{form}", asked, answer),
        read=lambda reply: parse_reply(reply, sql_type),
        read_notes=_note,
        temperature=temperature,
        max_tokens=max_tokens,
    )


def _note(reply: Reply) -> str:
    return str(parse_reply(reply, VARCHAR))


def _type(arguments: Arguments) -> SqlType:
    text = arguments.options.get("returns")
    return parse_type(text) if text else VARCHAR


def _lower(arguments: Arguments, _: Capabilities) -> GroupTask:
    options, constants = arguments.options, arguments.constants
    if constants[0] is not DYNAMIC:
        raise ValueError("LLM_AGG needs the values of a group, such as a column, not one literal.")
    instruction = constants[1]
    if not isinstance(instruction, str) or not instruction.strip():
        raise ValueError("LLM_AGG needs its instruction as a text literal: LLM_AGG(body, 'What do most ask for?').")
    temperature, max_tokens = options.get("temperature") or 0.0, options.get("max_tokens") or _MAX_TOKENS
    (name,) = input_names(arguments.texts[:1])
    return GroupTask(_fold(name, instruction.strip(), _type(arguments), temperature, max_tokens))


FUNCTION = SemanticFunction(
    sql_name="LLM_AGG",
    aliases=("AI_AGG", "SEM_AGG"),
    kind="aggregate",
    parameters=(Parameter("input"), Parameter("instruction", "constant")),
    options=(Option("returns", answer_type, "the type of the answer, 'VARCHAR' if not given"),),
    returns=lambda arguments, _: _type(arguments),
    lower=_lower,
    summary="One answer about all values of a group, however many, as an instruction says; NULL for an empty group.",
    example="""
SELECT product, LLM_AGG(review, 'What breaks first?') AS weakness
FROM (VALUES ('kettle', 'Boils fast, but the lid sticks.'), ('kettle', 'The lid broke in a week.'),
             ('lamp', 'Warm light, but the switch failed.')) AS reviews(product, review)
GROUP BY product
""".strip(),
)
