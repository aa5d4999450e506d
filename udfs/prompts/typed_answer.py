"""An answer of a SQL type: how the model is told, what the server holds it to, and how its reply is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...engine.errors import InvalidAnswer
from ...engine.types import INTEGER_RANGES, SqlType, from_json, from_text, json_schema, parse_type, read_json
from ..models.base import Answer, JsonAnswer, Reply, TextAnswer

_WORDS: Mapping[str, str] = {
    "varchar": "text",
    "boolean": "true or false",
    "float": "number",
    "double": "number",
    "date": "date as YYYY-MM-DD",
    "time": "time as HH:MM:SS",
    "time with time zone": "time with offset, as HH:MM:SS+HH:MM",
    "timestamp": "date and time as YYYY-MM-DDTHH:MM:SS",
    "timestamp_s": "date and time as YYYY-MM-DDTHH:MM:SS",
    "timestamp_ms": "date and time as YYYY-MM-DDTHH:MM:SS.sss",
    "timestamp with time zone": "date and time with offset, as YYYY-MM-DDTHH:MM:SS+HH:MM",
    "uuid": "UUID",
    "json": "any JSON value",
}


def type_words(sql_type: SqlType) -> str:
    """A type in words that a small model follows.

    >>> from anserdb.engine.types import parse_type
    >>> type_words(parse_type("STRUCT(name VARCHAR, born DATE)[]"))
    'list of objects {"name": text, "born": date as YYYY-MM-DD}'
    """
    match sql_type.kind:
        case "struct":
            fields = (f"{json.dumps(name, ensure_ascii=False)}: {type_words(kind)}" for name, kind in sql_type.fields)
            return f"object {{{', '.join(fields)}}}"
        case "list":
            return f"list of {_plural(type_words(sql_type.child))}"
        case "array":
            return f"list of exactly {sql_type.size}: {type_words(sql_type.child)}"
        case "map":
            (_, key), (_, value) = sql_type.fields
            return f"object whose keys are {_plural(type_words(key))} and whose values are {_plural(type_words(value))}"
        case "enum":
            return f"one of {', '.join(json.dumps(value, ensure_ascii=False) for value in sql_type.values)}"
        case "decimal":
            return f"number with at most {sql_type.scale} decimals" if sql_type.scale else "whole number"
        case kind if kind in INTEGER_RANGES:
            return "whole number"
    return _WORDS[sql_type.kind]


def _plural(words: str) -> str:
    head, _, rest = words.partition(" ")
    if head in ("object", "date", "time"):
        return f"{head}s {rest}"
    return {"number": "numbers", "whole number": "whole numbers", "text": "texts"}.get(words, words)


def constraint(sql_type: SqlType) -> Answer:
    """What the server holds the model to.

    Only a struct's fields may be null: offered a null beside the value itself, a small model takes it for every row.

    Raises
    ------
    ValueError : no answer can have that type; the message says what to use.
    """
    if sql_type.kind == "varchar":
        return TextAnswer()
    schema = json_schema(sql_type)
    # fields keep the user's order: models answer them in it, and later ones may build on earlier ones
    return JsonAnswer(json.dumps(schema, separators=(",", ":"), ensure_ascii=False))


def answer_type(value: Any) -> str:
    """The check of an option ``returns``: DuckDB's spelling of a type, if a model can answer in it.

    Raises
    ------
    ValueError : it is no type, or no answer can have it.

    >>> answer_type("int[]")
    'INTEGER[]'
    """
    if not isinstance(value, str):
        raise ValueError("must be a type as text, such as 'INTEGER'.")
    sql_type = parse_type(value)
    json_schema(sql_type)  # refuses types that no answer can have
    return sql_type.text


def form_words(sql_type: SqlType) -> str:
    """What the model is told about the form of its answer."""
    match sql_type.kind:
        case "varchar":
            return "Answer with the result only, without introduction or comment."
        case "struct":
            return f"Answer in JSON only: one {type_words(sql_type)}. A field that is not stated is null."
    return f"Answer in JSON only: {type_words(sql_type)}."


def spoken(output: Any, sql_type: SqlType) -> str:
    """An example's output as the model answers in that type.

    Raises
    ------
    ValueError : it is no value of the type.

    >>> from anserdb.engine.types import parse_type
    >>> spoken({"amount": 5}, parse_type("STRUCT(amount INTEGER, paid BOOLEAN)"))
    '{"amount": 5, "paid": null}'
    """
    if sql_type.kind == "varchar":
        if not isinstance(output, str):
            raise ValueError(f"the output of an example must be text, not {output!r}.")
        return output
    if sql_type.kind == "struct" and isinstance(output, Mapping):
        output = dict.fromkeys(name for name, _ in sql_type.fields) | dict(output)
    text = json.dumps(output, ensure_ascii=False, default=str)
    try:
        from_json(read_json(text), sql_type)
    except ValueError as error:
        raise ValueError(f"the output of an example is no {sql_type}: {error}.") from None
    return text


def parse_reply(reply: Reply, sql_type: SqlType) -> Any:
    """The Python value of a reply.

    Raises
    ------
    InvalidAnswer : the reply is not of the type; the message names the field.

    >>> parse_reply(Reply("2024-02-29"), SqlType("DATE", "date"))
    datetime.date(2024, 2, 29)
    """
    try:
        return _value(reply.text, sql_type)
    except ValueError as error:
        raise InvalidAnswer(f"The model answered outside {sql_type}: {error}.", answer=reply.text) from None


def _value(text: str, sql_type: SqlType) -> Any:
    if sql_type.kind == "varchar":
        return from_text(text, sql_type)
    try:
        parsed = read_json(text)
    except ValueError:  # a server that constrains nothing says yes or 2024-02-29 for "yes" and "2024-02-29"
        return from_text(text, sql_type)
    return from_json(parsed, sql_type)
