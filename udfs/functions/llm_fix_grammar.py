"""``LLM_FIX_GRAMMAR``: a text without its mistakes in spelling and grammar."""

from __future__ import annotations

from ...engine.types import VARCHAR
from ..models.base import Capabilities
from ..prompts.inputs import input_names
from ..prompts.rewriting import RewriteTask
from ..prompts.row_values import RowValues
from ..spec import DYNAMIC, Arguments, Parameter, SemanticFunction

_SYSTEM = (
    "Correct the spelling, grammar and punctuation of the input, in its own language. Change nothing else: keep its "
    "words, tone and line breaks. Answer with the corrected text only, without its name, introduction or comment."
)


def _lower(arguments: Arguments, _: Capabilities) -> RewriteTask:
    options, constants = arguments.options, arguments.constants
    return RewriteTask(
        system=_SYSTEM,
        names=input_names(arguments.texts),
        values=RowValues(constants, tuple(value is DYNAMIC for value in constants)),
        temperature=options.get("temperature") or 0.0,
        max_tokens=options.get("max_tokens"),
    )


FUNCTION = SemanticFunction(
    sql_name="LLM_FIX_GRAMMAR",
    aliases=("AI_FIX_GRAMMAR", "SEM_FIX_GRAMMAR"),
    parameters=(Parameter("input"),),
    returns=lambda *_: VARCHAR,
    lower=_lower,
    summary="The text without its mistakes in spelling and grammar, and otherwise as it was.",
    example="""
SELECT LLM_FIX_GRAMMAR(body) AS corrected
FROM (VALUES ('The kettel dont boils no more.')) AS tickets(body)
""".strip(),
)
