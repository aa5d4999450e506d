"""MotherDuck's ``prompt`` and ``embedding``."""

from __future__ import annotations

import json
from typing import Any

from ...types import parse_type, quote
from .form import CODE, IGNORED, MODEL, Dialect, Form
from .parts import Part, Parts
from .prompt import escaped
from .spoken import Spoken
from .types import schema_type

_ASKED = "Give the answer that {0} asks for."


def _prompt(call: Spoken) -> Parts:
    given = [name for name in ("struct", "return_type", "json_schema") if name in call.given]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} exclude each other")
    options: dict[str, Part] = {}
    if given:
        options["returns"] = call.typed(call.given[given[0]], _READERS[given[0]])
    asked = call.prompt("text")
    if (descriptions := call.value("struct_descr")) is not None:
        lines = "".join(f"\n{escaped(str(name))}: {escaped(str(words))}" for name, words in descriptions.items())
        asked = asked.saying(f"{_ASKED if asked.dynamic else asked.words}{lines}")
    made = call.call("LLM_COMPLETE", asked.arguments(_ASKED), options)
    return ("to_json(", *made, ")") if given == ["json_schema"] else made


def _struct(declared: Any) -> str:
    match declared:
        case str():
            return parse_type(declared).text
        case dict() if declared:
            return f"STRUCT({', '.join(f'{quote(name)} {_struct(kind)}' for name, kind in declared.items())})"
        case [single]:
            return f"{_struct(single)}[]"
    raise ValueError("struct takes {field: 'TYPE', …}")


def _json_schema(declared: Any) -> str:
    return schema_type(json.loads(declared) if isinstance(declared, str) else declared)


_READERS = {"struct": _struct, "return_type": lambda written: parse_type(written).text, "json_schema": _json_schema}


def _embedding(call: Spoken) -> Parts:
    return call.call("LLM_EMBED", [(call.given["text"],)])


_TICKETS = "FROM (VALUES ('Where is my parcel?'), ('I was charged twice.')) AS tickets(body)"

DIALECT = Dialect(
    name="MotherDuck",
    summary="A function or macro of your own that is called `prompt` or `embedding` comes first.",
    forms=(
        Form(
            names=("PROMPT",),
            parameters=("text", "model"),
            options={
                "model": MODEL,
                "reasoning_effort": IGNORED,
                "struct": CODE,
                "struct_descr": CODE,
                "return_type": CODE,
                "json_schema": CODE,
            },
            rewrite=_prompt,
            needs=("LLM_COMPLETE",),
            result="VARCHAR, the STRUCT of `struct`, `return_type`, or JSON with `json_schema`",
            summary="The answer to a prompt.",
            example=f"SELECT prompt('What is wrong? ' || body, struct := {{fault: 'VARCHAR', urgent: 'BOOLEAN'}}) AS claim\n{_TICKETS}",
        ),
        Form(
            names=("EMBEDDING",),
            parameters=("text", "model"),
            options={"model": MODEL},
            rewrite=_embedding,
            needs=("LLM_EMBED",),
            result="FLOAT[n]",
            summary="The embedding of a text.",
            example=f"SELECT len(embedding(body)) AS dimension\n{_TICKETS}",
        ),
    ),
)
