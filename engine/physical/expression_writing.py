"""How a model comes to write an expression: asked once, and once more with what was wrong; judged by the rows it was shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...optimizer.search.agreement import agreement
from ...udfs.models.base import ChoiceAnswer, Generate, Reply
from ...udfs.prompts.written_sql import Example, Wanted, asked_again, asked_for, expression_in, mistakes
from ...udfs.spec import Ask
from ..types import SqlType
from .expression_answers import ExpressionAnswers
from .expression_check import FUNCTIONS, ExpressionError

MOST_WRONG, LEAST_RIGHT = 0.2, 0.25
"""Shares of the rows it was written from: with more that are wrong, or fewer that are right, it has no prospects."""
GOOD_ENOUGH = 0.1
"""Errors that are no reason to ask again: the answers that it is measured by have some, too."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What became of an answer.

    Parameters
    ----------
    expression : as DuckDB prints it; "": there is none that can be run. problem : why not, or what is wrong with it.
    right, wrong : how many of the rows shown it answers so; of the others it does not know.
    """

    expression: str = ""
    problem: str = ""
    right: int = 0
    wrong: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """The expression that is worth its proof ("": there is none, and why)."""

    expression: str = ""
    note: str = ""


async def write(
    ask: Ask,
    answers: ExpressionAnswers,
    plain: Generate,
    types: Sequence[str],
    answer: str,
    rows: Sequence[Example],
) -> Found:
    """Have an expression written.

    Parameters
    ----------
    ask : the model. answers : who tries expressions, and has the best of them when this is over.
    plain : how one of the rows was asked about. types : of the inputs. answer : what to give, in words. rows : that are shown.

    Raises
    ------
    ModelError : the model failed.
    """
    wanted = Wanted(await answers.open(), tuple(types), answer, tuple(sorted(FUNCTIONS)))
    request = asked_for(plain, wanted, rows)
    said = await ask(request, _text)
    first = await _judged(said, answers, wanted, rows)
    if not first.problem:
        return Found(first.expression)
    again = await ask(asked_again(request, expression_in(said), first.problem), _text)
    second = await _judged(again, answers, wanted, rows)
    if _score(first) > _score(second):
        second = await _judged(said, answers, wanted, rows)
    return _worth(second, len(rows))


def labels_of(plain: Generate, answer: SqlType, words: Sequence[str]) -> Mapping[str, str] | None:
    """Texts that may be an answer, whatever their case; ``None``: it is none of a few texts.

    Parameters
    ----------
    plain : how a row is asked about; its choices are the labels, or letters for them. words : of the call, labels among them.
    """
    if answer.kind not in ("varchar", "enum"):
        return None
    choices = plain.answer.choices if isinstance(plain.answer, ChoiceAnswer) else ()
    return {label.strip().casefold(): label for label in reversed((*choices, *answer.values, *words))}


def label_of(value: Any, labels: Mapping[str, str] | None) -> Any:
    """The label that a text is, whatever its case; ``None``: it is none of them."""
    return value if labels is None or value is None else labels.get(str(value).strip().casefold())


def answer_words(answer: SqlType, labels: Mapping[str, str] | None) -> str:
    """The type of an expression, and what it may give."""
    return answer.text if labels is None else f"VARCHAR, one of {', '.join(map(repr, [*labels.values()][::-1]))}"


def _worth(draft: Draft, shown: int) -> Found:
    if not draft.expression:
        return Found(note=f"no expression can be run: {draft.problem}")
    if draft.wrong > MOST_WRONG * shown or draft.right < LEAST_RIGHT * shown:
        return Found(
            note=f"the expression is right in {draft.right} and wrong in {draft.wrong} of the {shown} rows shown"
        )
    return Found(draft.expression)


async def _judged(said: str, answers: ExpressionAnswers, wanted: Wanted, rows: Sequence[Example]) -> Draft:
    try:
        expression, found = await answers.tried(expression_in(said), [values for values, _ in rows])
    except ExpressionError as refused:
        return Draft(problem=str(refused))
    pairs = [(row, mine) for row, mine in zip(rows, found, strict=True) if mine is not None]
    wrong = [(row, mine) for row, mine in pairs if agreement(mine, row[1]) < 1.0]
    right = len(pairs) - len(wrong)
    return Draft(expression, _problem(wanted, wrong, right, len(rows)), right, len(wrong))


def _problem(wanted: Wanted, wrong: Sequence[tuple[Example, Any]], right: int, shown: int) -> str:
    if len(wrong) > GOOD_ENOUGH * shown:
        return mistakes(wanted.columns, [row for row, _ in wrong], [mine for _, mine in wrong])
    return "" if right >= LEAST_RIGHT * shown else f"It is NULL in {shown - right - len(wrong)} of {shown} rows."


def _score(draft: Draft) -> int:
    return draft.right - 2 * draft.wrong if draft.expression else -1_000


def _text(reply: Reply) -> str:
    return reply.text
