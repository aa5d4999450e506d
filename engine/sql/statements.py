"""Statements of our own, which DuckDB would not understand: ``SET llm_…``, ``CREATE MODEL``, ``SHOW MODELS``, ``EXPLAIN``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import duckdb

from ..errors import ParseError, Position
from .splice import Splice
from .tokens import Range, Text


@dataclass(frozen=True, slots=True)
class SetSetting:
    """``SET name = value`` or ``RESET name`` (value ``None``)."""

    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class CreateModel:
    """``CREATE [OR REPLACE] MODEL [IF NOT EXISTS] name (PROVIDER p, OPTION value, …)``."""

    name: str
    provider: str
    options: Mapping[str, Any] = field(default_factory=dict)
    replace: bool = False
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class DropModel:
    """``DROP MODEL [IF EXISTS] name``."""

    name: str
    if_exists: bool


@dataclass(frozen=True, slots=True)
class ShowModels:
    """``SHOW MODELS``."""


@dataclass(frozen=True, slots=True)
class Explain:
    """``EXPLAIN [ANALYZE] query``; ``form`` is ``text`` or ``json``; ``offset`` is where the query starts."""

    query: str
    analyze: bool
    form: str


Statement = SetSetting | CreateModel | DropModel | ShowModels | Explain
TABLE_FUNCTIONS = ("LLM_MODELS", "LLM_CALLS", "LLM_USAGE", "LLM_ERRORS", "LLM_SETTINGS", "LLM_FUNCTIONS")


def split_statements(sql: str) -> list[str]:
    """The statements of a script, verbatim, without their semicolons; pieces that are only comments are left out.

    >>> split_statements("SELECT ';'; -- done")
    ["SELECT ';'"]
    """
    text = Text(sql)
    parts = text.split(text.all(), (";",))
    return [text.source(p) for p in parts if p]


def parse_statement(text: Text, evaluate: Callable[[str], Any]) -> Statement | None:
    """Recognise a statement of ours; ``None``: it is a query or DuckDB's business.

    ``evaluate`` gives the value of a literal. Raises ParseError with what is expected.
    """
    words = [text.word(i) for i in range(min(8, len(text.tokens)))] + [""] * 8
    if words[0] in ("SET", "RESET"):
        return _setting(text, words, evaluate)
    if words[0] == "CREATE" and "MODEL" in (words[1], words[3]) and words[1] in ("MODEL", "OR"):
        return _create_model(text, evaluate)
    if words[:2] == ["DROP", "MODEL"]:
        exists = words[2:4] == ["IF", "EXISTS"]
        return DropModel(_name(text, 4 if exists else 2), exists)
    if words[0] == "SHOW" and words[1] in ("MODELS", "ALL") and words[1] == "MODELS":
        return ShowModels()
    if words[0] == "CALL" and words[1] in ("LLM_CREATE_MODEL", "LLM_DROP_MODEL"):
        return _call(text, words[1], evaluate)
    if words[0] == "EXPLAIN":
        return _explain(text)
    return None


def with_table_functions(text: Text, relation: Callable[[str], str]) -> str | None:
    """The statement with ``llm_calls()`` and the like replaced by relations; ``None`` if it has none."""
    splice, found = Splice(text), False
    for index in range(len(text.tokens)):
        if text.word(index) in TABLE_FUNCTIONS and text.word(index + 1) == "(" and text.word(index + 2) == ")":
            splice.replace(Range(index, index + 3), relation(text.word(index).lower()))
            found = True
    return splice.render(text.all())[0] if found else None


def _setting(text: Text, words: list[str], evaluate: Callable[[str], Any]) -> SetSetting | None:
    at = 2 if words[1] in ("SESSION", "GLOBAL", "LOCAL") else 1
    if not words[at].startswith("LLM_"):
        return None
    name = words[at].lower()
    if words[0] == "RESET":
        return SetSetting(name, None)
    if words[at + 1] not in ("=", "TO"):
        raise _expected(text, at + 1, f"SET {name} = value")
    value = Range(at + 2, len(text.tokens))
    if value.hi - value.lo == 1 and not text.tokens[value.lo].quoted and text.word(value.lo).isidentifier():
        plain = {"NULL": None, "DEFAULT": None, "TRUE": True, "FALSE": False, "ON": True, "OFF": False}
        word = text.word(value.lo)
        return SetSetting(name, plain[word] if word in plain else text.source(value))
    return SetSetting(name, _value(text, value, evaluate))


def _create_model(text: Text, evaluate: Callable[[str], Any]) -> CreateModel:
    at = 1
    replace = text.word(at) == "OR"
    at += 3 if replace else 1
    exists = text.word(at) == "IF"
    at += 3 if exists else 0
    name = _name(text, at)
    if text.word(at + 1) != "(":
        raise _expected(text, at + 1, f"CREATE MODEL {name} (PROVIDER openai, MODEL '…', BASE_URL '…')")
    options: dict[str, Any] = {}
    for part in text.split(text.inside(at + 1)):
        if part.hi - part.lo < 2:
            raise _expected(text, part.lo, "OPTION value")
        skip = text.word(part.lo + 1) in ("=", ":=")
        key = text.source(Range(part.lo, part.lo + 1)).strip('"').lower()
        options[key] = _option_value(text, Range(part.lo + 1 + skip, part.hi), evaluate)
    provider = options.pop("provider", None)
    if not isinstance(provider, str):
        raise _expected(text, at + 1, "PROVIDER: openai, vllm, llamacpp, …")
    return CreateModel(name, provider.lower(), options, replace, exists)


def _option_value(text: Text, where: Range, evaluate: Callable[[str], Any]) -> Any:
    if where.hi - where.lo == 1 and not text.tokens[where.lo].quoted and text.word(where.lo).isidentifier():
        word = text.word(where.lo)
        return {"TRUE": True, "FALSE": False}.get(word, text.source(where))
    return _value(text, where, evaluate)


def _call(text: Text, function: str, evaluate: Callable[[str], Any]) -> Statement:
    values = [_value(text, p, evaluate) for p in text.split(text.inside(2))]
    if function == "LLM_DROP_MODEL" and len(values) == 1:
        return DropModel(str(values[0]), False)
    if function == "LLM_CREATE_MODEL" and len(values) == 2 and isinstance(values[1], dict) and "provider" in values[1]:
        options = dict(values[1])
        return CreateModel(str(values[0]), str(options.pop("provider")).lower(), options)
    raise _expected(text, 1, "CALL llm_create_model('name', {provider: 'openai', …}) or CALL llm_drop_model('name')")


def _explain(text: Text) -> Explain | None:
    at, analyze, form = 1, False, "text"
    if text.word(at) == "ANALYZE":
        at, analyze = at + 1, True
    elif text.word(at) == "(":
        words = {text.word(i) for i in range(at, text.partner[at])}
        analyze, form = "ANALYZE" in words, "json" if "JSON" in words else "text"
        at = text.partner[at] + 1
    if at >= len(text.tokens):
        return None
    return Explain(text.source(Range(at, len(text.tokens))), analyze, form)


def _name(text: Text, index: int) -> str:
    token = text.word(index)
    if not token or not (text.tokens[index].quoted or token.replace("_", "a").isalnum()):
        raise _expected(text, index, "a model's name")
    return text.source(Range(index, index + 1)).strip("\"'")


def _value(text: Text, where: Range, evaluate: Callable[[str], Any]) -> Any:
    if not where:
        raise _expected(text, where.lo, "a value")
    try:
        value = evaluate(text.source(where))
        return float(value) if isinstance(value, Decimal) else value
    except duckdb.Error as error:
        raise ParseError(f"This is not a constant: {error}", Position(text.sql, *text.span(where))) from None


def _expected(text: Text, index: int, what: str) -> ParseError:
    at = text.tokens[index] if index < len(text.tokens) else text.tokens[-1]
    return ParseError(f"Expected {what}.", Position(text.sql, at.start, at.end))
