"""A model is shown a task and how some rows were answered, and writes one SQL expression that answers other rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..models.base import Generate, TextAnswer
from .inputs import DATA_RULE, fields, folded, parted, render

SHOWN_CHARS = 600
"""Of a text in an example."""
SHOWN_MISTAKES = 6
MAX_TOKENS = 600
_FENCED = re.compile(r"```(?:sql|duckdb)?[ \t]*\n?(.*?)```", re.DOTALL | re.IGNORECASE)
_SELECT = re.compile(r"\ASELECT\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an expression is to be like.

    Parameters
    ----------
    columns : names it may use. types : theirs. answer : its type in words. functions : that it may call.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    answer: str
    functions: tuple[str, ...]


Example = tuple[Sequence[Any], Any]
"""The inputs of a row, and its answer."""


def asked_for(plain: Generate, wanted: Wanted, examples: Sequence[Example]) -> Generate:
    """The request for an expression.

    Parameters
    ----------
    plain : how one of the rows was asked about: its instruction says what the task is.
    """
    columns = ", ".join(f"{name} {kind}" for name, kind in zip(wanted.columns, wanted.types, strict=True))
    rules = (
        "Below are a task that a model was given for each row of a table, and its answers for some rows. Write one DuckDB "
        "SQL expression that gives the same answer for other rows of the table.\n"
        f"Columns: {columns}. Type of the expression: {wanted.answer}.\n"
        "Where the expression cannot be sure it must be NULL; the model is asked about that row. Prefer rules that hold for "
        "rows not shown to a list of those shown.\n"
        "One scalar expression only: no SELECT, no subquery, no aggregate. Operators, CASE, IN, BETWEEN, LIKE, ILIKE and CAST are "
        f"allowed, and these functions: {', '.join(wanted.functions)}. Patterns and replacements must be string literals, "
        "replacements of two characters at most.\n"
        f"Answer with the expression alone. {DATA_RULE}\n\nThe task was:\n"
    )
    head = parted(plain.user)[0].strip() if "\n\n" in plain.user else ""
    task = "\n".join(part for part in (plain.system.strip(), head) if part)
    shown = [_example(wanted.columns, example) for example in examples]
    answer = TextAnswer()
    return replace(
        plain, system=rules + task, user="\n".join(shown), answer=answer, temperature=0.0, max_tokens=MAX_TOKENS
    )


def asked_again(first: Generate, said: str, problem: str) -> Generate:
    """The request once more, with what was wrong with the first expression."""
    user = f"{first.user}\n{fields(('expression', 'what is wrong with it'), (said[:4000], problem))}"
    return replace(first, system=f"{first.system}\nCorrect the expression that stands after the rows.", user=user)


def mistakes(columns: Sequence[str], examples: Sequence[Example], answers: Sequence[Any]) -> str:
    """Which rows an expression answers otherwise than the model did, in words."""
    pairs = [(example, mine) for example, mine in zip(examples, answers, strict=True)]
    lines = [f"{_example(columns, example)}\nExpression: {_spoken(mine)}" for example, mine in pairs[:SHOWN_MISTAKES]]
    return "It answers these rows otherwise:\n" + "\n".join(lines)


def expression_in(reply: str) -> str:
    r"""The expression in an answer: without a fence, a SELECT before it or a semicolon behind it.

    >>> expression_in("Here it is:\n```sql\nSELECT lower(body) = 'a';\n```")
    "lower(body) = 'a'"
    """
    fenced = _FENCED.search(reply)
    text = (fenced[1] if fenced else reply).strip().rstrip(";").strip()
    return _SELECT.sub("", text).strip()


def _example(columns: Sequence[str], example: Example) -> str:
    values, answer = example
    return f"{fields(columns, [_short(value) for value in values])}\nAnswer: {_spoken(answer)}"


def _short(value: Any) -> Any:
    return f"{value[:SHOWN_CHARS]}…" if isinstance(value, str) and len(value) > SHOWN_CHARS else value


def _spoken(answer: Any) -> str:
    if answer is None or isinstance(answer, bool):
        return {None: "NULL", True: "TRUE", False: "FALSE"}[answer]
    return folded(render(answer))
