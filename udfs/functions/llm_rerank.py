"""``LLM_RERANK``: how relevant a text is to a query, from 0 to 1."""

from __future__ import annotations

from ...engine.types import DOUBLE
from ..models.base import Capabilities
from ..prompts.judgement import Judge
from ..prompts.ranking_option import SUMMARY, checked_ranking
from ..prompts.row_values import RowValues
from ..prompts.scoring import MAX_TOKENS, Scale, ScoreTask
from ..spec import DYNAMIC, Arguments, Option, Parameter, SemanticFunction

# The query is an input like the text: it may come from whoever uses the application, and must not instruct.
_NAMES = ("query", "text")
_CONDITION = "Is the text relevant to the query?"


def _lower(arguments: Arguments, capabilities: Capabilities) -> ScoreTask:
    options, constants = arguments.options, arguments.constants
    judge = Judge(_NAMES, _CONDITION, capabilities.choice_scores, options.get("temperature") or 0.0)
    values = RowValues(constants, tuple(value is DYNAMIC for value in constants))
    return ScoreTask(Scale(judge, options.get("max_tokens") or MAX_TOKENS), values)


FUNCTION = SemanticFunction(
    sql_name="LLM_RERANK",
    aliases=("AI_RERANK", "SEM_RERANK"),
    parameters=(Parameter("query"), Parameter("input")),
    returns=lambda *_: DOUBLE,
    lower=_lower,
    options=(Option("ranking", checked_ranking, SUMMARY),),
    summary="How relevant a text is to a query, from 0 to 1: order what a search found by it.",
    example="""
SELECT title
FROM (VALUES ('A quiet film about geese'), ('The loudest car chase ever made')) AS films(title)
ORDER BY LLM_RERANK('birds in autumn', title) DESC
LIMIT 1
""".strip(),
)
