"""The options that functions have besides their own: how they are checked, and which function takes which."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

from ...udfs.prompts.additions import checked_examples, checked_instructions
from ...udfs.spec import Option, SemanticFunction
from ..types.promise import check_delta, check_target, read_promise

MOST_ROWS = 100
"""In one prompt. Servers allow a schema no more properties."""
_NAME = r'(?:"(?:[^"]|"")+"|[^\W\d]\w*)'
_TABLE = re.compile(rf"{_NAME}(?:\.{_NAME}){{0,2}}")


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("takes a non-empty string")
    return value


def _on_error(value: Any) -> str:
    if value not in ("null", "fail", "details"):
        raise ValueError("takes 'null', 'fail' or 'details'")
    return str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def _temperature(value: Any) -> float:
    if not _is_number(value) or not 0 <= value <= 2:
        raise ValueError("takes a number from 0 to 2")
    return float(value)


def _max_tokens(value: Any) -> int:
    if not _is_number(value) or int(value) != value or value < 1:
        raise ValueError("takes a whole number of tokens, at least 1")
    return int(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("takes true or false")
    return value


def _seed(value: Any) -> int:
    if not _is_number(value) or int(value) != value or not 0 <= value < 2**31:
        raise ValueError("takes a whole number from 0 to 2147483647")
    return int(value)


def _timeout(value: Any) -> float:
    if not _is_number(value) or not 0 < value < math.inf:
        raise ValueError("takes a number of seconds above 0")
    return float(value)


def _batch_rows(value: Any) -> int | str:
    if value == "auto":
        return "auto"
    if not _is_number(value) or int(value) != value or not 1 <= value <= MOST_ROWS:
        raise ValueError(f"takes a whole number of rows from 1 to {MOST_ROWS}, or 'auto'")
    return int(value)


def _table(value: Any) -> str:
    if isinstance(value, list | dict):
        raise ValueError(
            "takes the name of a table with right answers, such as 'gold'; what to choose from is an argument"
        )
    if not isinstance(value, str) or not _TABLE.fullmatch(value):
        raise ValueError("takes the name of a table or view with right answers, such as 'gold' or 'main.gold'")
    return value


def _guarantee(value: Any) -> dict[str, float]:
    if _is_number(value):
        return {"accuracy": check_target("accuracy", float(value))}
    if not isinstance(value, str):
        raise ValueError("takes a promise such as 'accuracy >= 0.95, delta = 0.05', or a number, which is accuracy")
    return read_promise(value)


def _delta(value: Any) -> float:
    if not _is_number(value):
        raise ValueError("takes a number between 0 and 1, such as 0.05")
    return check_delta(float(value))


_ANY_OPTIONS = (
    Option("model", _text, "model to ask, by its name in SHOW MODELS"),
    Option(
        "on_error", _on_error, "what a failed row becomes: 'null', 'fail' or 'details' (a STRUCT of value and error)"
    ),
    Option("cache", _boolean, "reuse stored answers"),
    Option("timeout", _timeout, "most seconds that one attempt may take; `llm_timeout_s` holds besides"),
)
_TEXT_OPTIONS = (
    Option("temperature", _temperature, "0 (always the likeliest answer) to 2"),
    Option("max_tokens", _max_tokens, "length cap of an answer, in tokens"),
    Option("seed", _seed, "of the sampling, where the model takes one; another seed is another question"),
    Option("instructions", checked_instructions, "more words for the model, after the function's own"),
)
_EXAMPLES = Option(
    "examples", checked_examples, "worked examples for the model: `[{input: 'Late again!', output: 'complaint'}]`"
)
_BATCH_ROWS = Option(
    "batch_rows",
    _batch_rows,
    "rows that share a prompt (1 if not given), or 'auto', where a row has one answer: fewer tokens, other answers maybe",
)
LABELS = Option(
    "labels",
    _table,
    "name of a table or view with right answers for some inputs (columns of the inputs' names, and `label`): what may answer is "
    "then compared with these, not with the call's own model; they never stand in the result",
)
TAKE_LABELS = frozenset({"LLM_CLASSIFY", "LLM_COMPLETE", "LLM_EXTRACT", "LLM_FILTER", "LLM_SENTIMENT"})
"""Whose answers may be of a kind that can be compared."""
GUARANTEES = (
    Option(
        "guarantee",
        _guarantee,
        "what is promised of the answers, such as 'accuracy >= 0.95, delta = 0.05' (a filter also precision, recall, or both; a number is "
        "accuracy): agreement with the call's own model, whatever answers most rows",
    ),
    Option("delta", _delta, "how likely the guarantee may be broken (0.05 if not given)"),
    Option(
        "proxy",
        _text,
        "who answers most rows under the guarantee: a model by its name, 'embedding', 'student', a proxy that CREATE PROXY made, or an "
        "expression over the row, the higher the likelier TRUE (`proxy := score`); 'model' picks a cheap one",
    ),
)
TAKE_GUARANTEES = frozenset({"LLM_CLASSIFY", "LLM_FILTER"})
"""Whose answers are the reference's or are not, so that they can be counted."""
_ASKS_NOTHING = frozenset({"LLM_COUNT_TOKENS"})
COMMON_OPTIONS = (*_ANY_OPTIONS, *_TEXT_OPTIONS, _EXAMPLES, _BATCH_ROWS)
"""Options that functions have besides their own; :func:`common_options` says which."""


def common_options(function: SemanticFunction) -> tuple[Option, ...]:
    """The options of a function besides its own: only embedding needs no words, and a group is no example.

    Rows share a prompt where each is one short answer: a group is many rows already, and one that becomes many rows is long.
    Labels and guarantees need a plan, so that functions of plain DuckDB connections, which take :data:`COMMON_OPTIONS`, have none.
    """
    if function.model_kind == "embed":
        return _ANY_OPTIONS
    if function.kind == "aggregate":
        return (*_ANY_OPTIONS, *_TEXT_OPTIONS)
    if function.to_many or function.sql_name in _ASKS_NOTHING:
        return (*_ANY_OPTIONS, *_TEXT_OPTIONS, _EXAMPLES)
    labels = (LABELS,) if function.sql_name in TAKE_LABELS else ()
    return (*COMMON_OPTIONS, *labels, *(GUARANTEES if function.sql_name in TAKE_GUARANTEES else ()))
