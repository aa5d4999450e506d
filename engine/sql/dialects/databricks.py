"""The ``ai_*`` functions of Databricks, which Trino and Doris have, too."""

from __future__ import annotations

import json
from typing import Any

from ...types import struct_of
from .form import CODE, MODEL, Dialect, Form
from .labels import labels, names
from .parts import New, Part, Parts, call_of, items, literal, struct
from .spoken import Spoken
from .types import duckdb_type, schema_type

_ASKED = "Give the answer that {0} asks for."
_FORMATS = {"text": "VARCHAR", "json_object": "JSON"}


def _query(call: Spoken) -> Parts:
    options: dict[str, Part] = {}
    as_json = False
    if (where := call.get("modelparameters")) is not None:
        options |= call.model_parameters(where)
    if (where := call.get("responseformat")) is not None:
        kind = call.typed(where, _response_format)
        as_json = kind.text != literal("VARCHAR")
        options |= {"returns": kind} if as_json else {}
    elif (where := call.get("returntype")) is not None:
        options["returns"] = call.typed(where, lambda written: duckdb_type(written, "databricks"))
    asked = _request(call)
    if call.value("failonerror", True):
        made = call.call("LLM_COMPLETE", asked, options)
        return ("CAST(to_json(", *made, ") AS VARCHAR)") if as_json else made
    made = call.call("LLM_COMPLETE", asked, options, details=True)
    result = "CAST(to_json(r.value) AS VARCHAR)" if as_json else "r.value"
    return call.shaped(made, f"{{'result': {result}, 'errorMessage': r.error}}")


def _request(call: Spoken) -> list[Parts]:
    """A prompt; or, for an endpoint of one's own, its inputs by name: ``named_struct('text', body)``."""
    where = call.given["request"]
    if call_of(call.text, where, "NAMED_STRUCT") is None:
        return call.prompt("request").arguments(_ASKED)
    inputs = {name: (value,) for name, value in call.entries(where).items()}
    return [(New(literal(_ASKED), where),), struct(inputs)]


def _response_format(written: Any) -> str:
    """A JSON schema, ``{"type": "text"}``, ``{"type": "json_object"}``, or a type in the words of Databricks."""
    if isinstance(written, str) and written.lstrip().startswith("{"):
        schema = json.loads(written)
        return _FORMATS.get(str(schema.get("type"))) or schema_type(schema)
    return duckdb_type(str(written), "databricks")


def _is_classify(call: Spoken) -> bool:
    if (options := call.get("options")) is not None:
        return call.text.word(options.lo) == "MAP"
    where = call.get("labels")
    return where is not None and (
        call_of(call.text, where, "ARRAY") is not None or call.text.word(where.lo)[:2] in ("'[", "'{")
    )


def _classify(call: Spoken) -> Parts:
    settings = {} if (where := call.get("options")) is None else call.entries(where)
    arguments: list[Parts] = [(call.given["content"],), labels(call, call.given["labels"])]
    if where is None:
        return call.call("LLM_CLASSIFY", arguments)
    many = (found := settings.pop("multilabel", None)) is not None and str(call.constant(found)).lower() == "true"
    chosen: dict[str, Part] = {"multi": "true"} if many else {}
    if (words := settings.pop("instructions", None)) is not None:
        chosen["instructions"] = words
    call.ignore(*settings)
    made = call.call("LLM_CLASSIFY", arguments, chosen, details=True)
    answer = "r.value" if many else "CASE WHEN r.value IS NOT NULL THEN [r.value] END"
    return call.shaped(made, f"{{'response': {answer}, 'error_message': r.error}}")


def _is_list(call: Spoken) -> bool:
    where = call.get("labels")
    return where is not None and items(call.text, where) is not None


def _extract(call: Spoken) -> Parts:
    where = call.given["labels"]
    kind = struct_of(dict.fromkeys(names(call, where), "VARCHAR")).text
    return call.call("LLM_EXTRACT", [(call.given["content"],), (New(literal(kind), where),)])


def _gen(call: Spoken) -> Parts:
    return call.call("LLM_COMPLETE", call.prompt("prompt").arguments(_ASKED))


def _summarize(call: Spoken) -> Parts:
    most = call.value("max_words", 50)
    if isinstance(most, bool) or not isinstance(most, int) or most < 0:
        raise ValueError("max_words takes a whole number of words, 0 for no limit")
    words = f"Summarize the input{f' in at most {most} words' if most else ''}. Answer with the summary only."
    return call.call("LLM_COMPLETE", [(literal(words),), (call.given["content"],)])


def _mask(call: Spoken) -> Parts:
    return call.call("LLM_REDACT", [(call.given["content"],), labels(call, call.given["labels"])])


_TICKETS = "FROM (VALUES ('Where is my parcel?'), ('I was charged twice.')) AS tickets(body)"

DIALECT = Dialect(
    name="Databricks",
    summary="Trino and Doris call these functions by the same names. `ai_query` fails the query when a row fails, as it does "
    "there, unless it says `failOnError => false`; what was answered by then is kept and not asked again.",
    same=("AI_ANALYZE_SENTIMENT", "AI_SIMILARITY", "AI_TRANSLATE", "AI_FIX_GRAMMAR"),
    forms=(
        Form(
            names=("AI_QUERY",),
            parameters=("endpoint", "request"),
            required=2,
            options={
                "endpoint": MODEL,
                "returnType": CODE,
                "failOnError": CODE,
                "modelParameters": CODE,
                "responseFormat": CODE,
            },
            rewrite=_query,
            on_error="fail",
            needs=("LLM_COMPLETE",),
            result="VARCHAR or `returnType`; STRUCT(result, errorMessage) with failOnError => false",
            summary="The answer of a model to a request. With `responseFormat` the answer is JSON text.",
            example=f"SELECT ai_query('databricks-claude-sonnet-4', 'Is this urgent? ' || body, returnType => 'BOOLEAN', "
            f"failOnError => false) AS urgent\n{_TICKETS}",
        ),
        Form(
            names=("AI_CLASSIFY",),
            parameters=("content", "labels", "options"),
            required=2,
            options={"options": CODE},
            matches=_is_classify,
            rewrite=_classify,
            needs=("LLM_CLASSIFY",),
            result="VARCHAR; STRUCT(response VARCHAR[], error_message VARCHAR) with a map of options",
            summary="Labels as `array(…)` or as JSON text.",
            example=f"SELECT ai_classify(body, array('delivery', 'payment')) AS topic\n{_TICKETS}",
        ),
        Form(
            names=("AI_EXTRACT",),
            parameters=("content", "labels"),
            required=2,
            matches=_is_list,
            rewrite=_extract,
            needs=("LLM_EXTRACT",),
            result="STRUCT of VARCHAR, a field per label",
            summary="A list of labels; with types it is LLM_EXTRACT.",
            example=f"SELECT ai_extract(body, array('item', 'amount')) AS facts\n{_TICKETS}",
        ),
        Form(
            names=("AI_GEN",),
            parameters=("prompt",),
            rewrite=_gen,
            needs=("LLM_COMPLETE",),
            result="VARCHAR",
            summary="The answer to a prompt.",
            example=f"SELECT ai_gen('Answer in one sentence: ' || body) AS reply\n{_TICKETS}",
        ),
        Form(
            names=("AI_SUMMARIZE",),
            parameters=("content", "max_words"),
            rewrite=_summarize,
            needs=("LLM_COMPLETE",),
            result="VARCHAR",
            summary="A summary of each text, of 50 words unless it says otherwise. LLM_SUMMARIZE summarizes a group.",
            example=f"SELECT ai_summarize(body, 10) AS gist\n{_TICKETS}",
        ),
        Form(
            names=("AI_MASK",),
            parameters=("content", "labels"),
            required=2,
            rewrite=_mask,
            needs=("LLM_REDACT",),
            result="VARCHAR",
            summary="The text with the label in the place of what it names; Databricks writes [MASKED] there.",
            example=f"SELECT ai_mask(body, array('NAME', 'EMAIL')) AS safe\n{_TICKETS}",
        ),
    ),
)
