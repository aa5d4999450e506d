"""A model that reads what it is asked, by rules a person can follow, and the same rules as plain DuckDB functions.

The same SQL text can so run in AnserDB and, verbatim, in DuckDB alone; the latter is the reference.

- ``LLM_FILTER('mentions kiwi', x, …)``: whether an input contains the word after "mentions".
- ``LLM_CLASSIFY(x, labels)``: the first label that the input contains, else the last label.
- ``LLM_SCORE('mentions kiwi', x)``: how often it does, of four.
- ``LLM_COMPLETE('say', x, …)``: ``say(x; …)``; with ``returns`` an INTEGER: the inputs' length, a BOOLEAN: as LLM_FILTER.
- ``LLM_EXTRACT(x, {…})``: the word after ``field=`` in the input, else NULL.
  With a list: the words, ``-`` for a NULL; ``null`` alone for no list.
- ``LLM_SPLIT(x, 'words')``: the words. ``LLM_EXTRACT_TABLE(x, {…})``: a row per ``field=word``, of that field alone.
- ``LLM_SUMMARIZE(x)``: the texts of the group, sorted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from anserdb.udfs.models.base import Capabilities, ChoiceAnswer, Generate, JsonAnswer, Request
from anserdb.udfs.models.scripted import ScriptedModel
from anserdb.udfs.prompts.inputs import folded, render
from tests.support.batched_prompts import in_company

EXTRACTED = pa.struct([("name", pa.string()), ("amount", pa.int32())])
"""What LLM_EXTRACT gives in the reference: ``{name: 'VARCHAR', amount: 'INTEGER'}``."""


PARTS = pa.list_(pa.struct([("part", pa.string()), ("ordinal", pa.int64())]))
ROWS = pa.list_(pa.struct([*EXTRACTED, ("ordinal", pa.int64())]))


def reader_model(**options: Any) -> ScriptedModel:
    """The model; its answers depend on nothing but the request."""
    capabilities = Capabilities(embeds=True, choice_scores=False, local=True, dimension=4, concurrency=64)
    return ScriptedModel([(lambda _: True, in_company(read))], capabilities=capabilities, name="reader", **options)


def read(request: Request) -> str:
    """The answer to a request, by the rules above."""
    assert isinstance(request, Generate)
    head = request.user.rpartition("\n\n")[0]
    values = shown_values(request)
    match request.answer:
        case ChoiceAnswer(("Yes", "No")):
            return "Yes" if _mentions(head or request.user, values) else "No"
        case ChoiceAnswer(labels):
            return _label(values[0], labels)
        case JsonAnswer(schema):
            return json.dumps(_json(json.loads(schema), request.system, values))
        case _:
            return _text(request.system, values)


def shown_values(request: Generate) -> list[str]:
    """The inputs in a request, as the model is shown them."""
    parts = request.user.split("\n\n")  # a question may stand before the inputs, or after them
    user = next((part for part in reversed(parts) if re.match(r"[^:\n]+:", part)), parts[-1])
    return [match[1] for match in re.finditer(r"^[^:\n]+: ?(.*(?:\n  .*)*)$", user, re.M)]


def _word(instruction: str) -> str:
    found = re.search(r"mentions (\w+)", instruction)
    assert found, instruction
    return found[1]


def _mentions(instruction: str, values: Sequence[str]) -> bool:
    return any(_word(instruction) in value for value in values)


def _label(text: str, labels: Sequence[str]) -> str:
    return next((label for label in labels if label in text), labels[-1])


def _score(instruction: str, values: Sequence[str]) -> float:
    return min(4, sum(value.count(_word(instruction)) for value in values)) / 4


def _completed(prompt: str, values: Sequence[str]) -> str:
    return f"{prompt}({'; '.join(values)})"


def _fields(text: str, names: Sequence[str]) -> dict[str, str | None]:
    found = {name: re.search(rf"\b{name}=(\w+)", text) for name in names}
    return {name: match[1] if match else None for name, match in found.items()}


def _json(schema: dict[str, Any], system: str, values: Sequence[str]) -> Any:
    properties = schema.get("properties", {})
    if list(properties) == ["score"]:
        return {"score": _score(system, values)}
    if list(properties) == ["parts"]:
        return {"parts": values[0].split()}
    if list(properties) == ["rows"]:
        row = properties["rows"]["items"]
        return {"rows": [_json(row, system, [word]) for word in values[0].split() if "=" in word]}
    if properties:
        return {
            name: int(word) if word is not None and "integer" in json.dumps(properties[name]) else word
            for name, word in _fields(values[0], list(properties)).items()
        }
    if "enum" in schema:
        return _label("; ".join(values), schema["enum"])
    if schema["type"] == "array":
        words = values[0].split()
        return None if words == ["null"] else [None if word == "-" else word for word in words]
    if schema["type"] == "boolean":
        return _mentions(system, values)
    return len("; ".join(values))


def _summed(values: Sequence[str]) -> str:
    return f"all of [{', '.join(sorted(values))}]"


def _text(system: str, values: Sequence[str]) -> str:
    if system.startswith(("Summarize", "The inputs are summaries")):
        return _summed(values)
    return _completed(system.partition("\n")[0], values)


def reference(connection: duckdb.DuckDBPyConnection) -> None:
    """Put the same functions on a plain DuckDB connection (NULL for a NULL input; no named arguments)."""
    functions: list[tuple[str, Callable[..., Any], pa.DataType, str]] = [
        ("llm_filter", lambda condition, *values: _mentions(condition, _shown(values)), pa.bool_(), "BOOLEAN"),
        ("llm_score", lambda condition, *values: _score(condition, _shown(values)), pa.float64(), "DOUBLE"),
        ("llm_complete", lambda prompt, *values: _completed(prompt, _shown(values)), pa.string(), "VARCHAR"),
        ("llm_classify", _reference_label, pa.string(), "VARCHAR"),
        ("llm_extract", _reference_fields, EXTRACTED, "STRUCT(name VARCHAR, amount INTEGER)"),
        ("llm_split", _reference_parts, PARTS, "STRUCT(part VARCHAR, ordinal BIGINT)[]"),
        ("__rows", _reference_rows, ROWS, "STRUCT(name VARCHAR, amount INTEGER, ordinal BIGINT)[]"),
        ("__summarize", lambda texts: _summed(_shown(texts)), pa.string(), "VARCHAR"),
    ]
    for name, function, kind, sql_type in functions:
        connection.create_function(
            name,
            _over_columns(function, kind),
            None,
            sql_type,  # type: ignore[arg-type]
            type="arrow",  # type: ignore[arg-type]
            null_handling="special",  # type: ignore[arg-type]
        )
    connection.execute("CREATE TEMP MACRO llm_summarize(x) AS __summarize(list(x) FILTER (x IS NOT NULL))")
    rows = "AS TABLE SELECT unnest"
    connection.execute(f"CREATE TEMP MACRO llm_split(x, unit) {rows}(llm_split(x, unit), max_depth := 2)")
    connection.execute(f"CREATE TEMP MACRO llm_extract_table(x, fields) {rows}(__rows(x), max_depth := 2)")
    connection.execute("CREATE TEMP MACRO llm_extract_table(x, fields) AS __rows(x)")


def _reference_label(text: str, labels: Sequence[str]) -> str:
    return _label(_shown([text])[0], labels)


def _reference_fields(text: str, _: str) -> dict[str, Any]:
    found = _fields(text, ["name", "amount"])
    return {"name": found["name"], "amount": None if found["amount"] is None else int(found["amount"])}


def _reference_parts(text: str, _: str) -> list[dict[str, Any]]:
    return [{"part": part, "ordinal": number} for number, part in enumerate(text.split(), 1)]


def _reference_rows(text: str) -> list[dict[str, Any]]:
    rows = [_reference_fields(word, "") for word in text.split() if "=" in word]
    stated = [row for row in rows if row != {"name": None, "amount": None}]
    return [{**row, "ordinal": number} for number, row in enumerate(stated, 1)]


def _over_columns(function: Callable[..., Any], kind: pa.DataType) -> Callable[..., pa.Array]:
    def apply(*columns: Any) -> pa.Array:
        rows = zip(*(column.to_pylist(maps_as_pydicts="strict") for column in columns), strict=True)
        return pa.array([None if None in row else function(*row) for row in rows], kind)

    return apply


def _shown(values: Sequence[Any]) -> list[str]:
    """Values as a model is shown them."""
    return [folded(render(value)) for value in values]
