"""``LLM_SCORE``: how likely a condition in plain words holds for a row, from 0 to 1."""

from __future__ import annotations

from ...engine.types import DOUBLE
from ..models.base import Capabilities
from ..prompts.inputs import input_names
from ..prompts.judgement import Judge
from ..prompts.ranking_option import SUMMARY, checked_ranking
from ..prompts.row_values import RowValues
from ..prompts.scoring import MAX_TOKENS, Scale, ScoreTask
from ..prompts.template import instruction
from ..spec import DYNAMIC, Arguments, Option, Parameter, SemanticFunction


def _lower(arguments: Arguments, capabilities: Capabilities) -> ScoreTask:
    condition, options = arguments.constants[0], arguments.options
    if not isinstance(condition, str) or not condition.strip():
        raise ValueError("LLM_SCORE needs its condition as a text literal: LLM_SCORE('the customer is angry', body).")
    names = input_names(arguments.texts[1:])
    inputs = arguments.constants[1:]
    words = instruction(condition, names, arguments.texts[1:])
    judge = Judge(names, words, capabilities.choice_scores, options.get("temperature") or 0.0)
    values = RowValues(inputs, tuple(value is DYNAMIC for value in inputs))
    return ScoreTask(Scale(judge, options.get("max_tokens") or MAX_TOKENS), values)


FUNCTION = SemanticFunction(
    sql_name="LLM_SCORE",
    aliases=("AI_SCORE", "SEM_SCORE"),
    parameters=(Parameter("condition", "constant"), Parameter("input"), Parameter("input", variadic=True)),
    returns=lambda _arguments, _capabilities: DOUBLE,
    lower=_lower,
    options=(Option("ranking", checked_ranking, SUMMARY),),
    summary="How likely a condition in plain words holds for the inputs, from 0 to 1.",
    example="""
SELECT body
FROM (VALUES ('Where is my parcel? I have written three times!'), ('Thank you, all is well.')) AS tickets(body)
ORDER BY LLM_SCORE('the customer is angry', body) DESC
LIMIT 1
""".strip(),
)
