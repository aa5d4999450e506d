"""BigQuery's AI functions; AlloyDB's ``ai.if`` is among them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...types import parse_type
from .form import CODE, IGNORED, MODEL, PARAMETERS, Dialect, Form
from .labels import labels, pair
from .parts import New, Part, Parts, items, literal
from .prompt import unescaped
from .spoken import Spoken
from .types import duckdb_type

_ASKED = "Give the answer that {0} asks for."
_COMMON = {
    "endpoint": MODEL,
    "connection_id": IGNORED,
    "request_type": IGNORED,
    "model_params": PARAMETERS,
    "examples": CODE,
    "embeddings": IGNORED,
    "optimization_mode": IGNORED,
    "max_error_ratio": IGNORED,
}
_WITHOUT_EXAMPLES = {**_COMMON, "examples": IGNORED}


def _examples(call: Spoken) -> dict[str, Part]:
    """``[('input', output), …]`` as ours."""
    where = call.get("examples")
    if where is None:
        return {}
    pairs = [pair(call, item) for item in items(call.text, where) or ()]
    if not pairs or any(output is None for _, output in pairs):
        raise call.wrong(where, "must be a list of inputs and outputs: [('an input', 'its output')]")
    shown = [f"{{'input': {call.text.source(i)}, 'output': {call.text.source(o)}}}" for i, o in pairs if o is not None]
    return {"examples": New(f"[{', '.join(shown)}]", where)}


def _if(call: Spoken) -> Parts:
    prompt = call.prompt("prompt")
    return call.call("LLM_FILTER", [(call.given["prompt"],)] if prompt.dynamic else prompt.arguments(), _examples(call))


def _score(call: Spoken) -> Parts:
    prompt = call.prompt("prompt")
    if not prompt.inputs:
        raise ValueError("it needs a value to score beside its words: AI.SCORE(('How angry is this? ', body))")
    return call.call("LLM_SCORE", prompt.arguments("The answer to {0} is yes"), _examples(call))


def _generate(call: Spoken) -> Parts:
    where = call.get("output_schema")
    if where is None:
        return _answered(call, None, "'result': r.value")
    kind = call.typed(where, _schema)
    names = [literal(name) for name, _ in parse_type(_schema(call.constant(where))).fields]
    return _answered(call, kind, ", ".join(f"{name}: r.value[{name}]" for name in names))


def _schema(written: Any) -> str:
    kind = parse_type(duckdb_type(f"STRUCT<{written}>", "bigquery"))
    if not kind.fields:
        raise ValueError("output_schema takes names and BigQuery's types: 'name STRING, age INT64'")
    return kind.text


def _typed(kind: str) -> Callable[[Spoken], Parts]:
    def rewrite(call: Spoken) -> Parts:
        return _answered(call, literal(kind), "'result': r.value")

    return rewrite


def _answered(call: Spoken, kind: Part | None, answer: str) -> Parts:
    """The answer with its status: STRUCT(result, full_response, status), or a schema's fields in the place of result."""
    options = _examples(call) if kind is None else {"returns": kind, **_examples(call)}
    made = call.call("LLM_COMPLETE", call.prompt("prompt").arguments(_ASKED), options, details=True)
    return call.shaped(made, f"{{{answer}, 'full_response': NULL::JSON, 'status': coalesce(r.error, '')}}")


def _classify(call: Spoken) -> Parts:
    mode = call.value("output_mode")
    options: dict[str, Part] = {**({"multi": "true"} if mode == "multi" else {}), **_examples(call)}
    prompt = call.prompt("input")
    given: Parts = (call.given["input"],)
    if len(prompt.inputs) == 1 and not prompt.dynamic:
        given = (prompt.inputs[0],)
        options["instructions"] = New(literal(unescaped(prompt.words.replace("{0}", "").strip())), prompt.where)
    return call.call("LLM_CLASSIFY", [given, labels(call, call.given["categories"])], options)


def _embed(call: Spoken) -> Parts:
    made = call.call("LLM_EMBED", [(call.given["content"],)], details=True)
    return call.shaped(made, "{'result': r.value, 'status': coalesce(r.error, '')}")


def _similarity(call: Spoken) -> Parts:
    return call.call("LLM_SIMILARITY", [(call.given["content1"],), (call.given["content2"],)])


def _agg(call: Spoken) -> Parts:
    return call.call("LLM_AGG", [(call.given["input"],), (call.given["instruction"],)])


_TICKETS = "FROM (VALUES ('Where is my parcel?'), ('I was charged twice.')) AS tickets(body)"


def _generated(name: str, kind: str, example: str) -> Form:
    return Form(
        names=(f"AI.{name}",),
        parameters=("prompt",),
        options=_COMMON,
        rewrite=_typed(kind),
        needs=("LLM_COMPLETE",),
        result=f"STRUCT(result {kind}, full_response JSON, status VARCHAR)",
        summary=f"An answer of type {kind}.",
        example=f"SELECT {example}\n{_TICKETS}",
    )


DIALECT = Dialect(
    name="BigQuery",
    summary="A prompt is a text or a tuple of texts and columns. A failed row has a NULL result and says why in `status`; "
    "`full_response` is always NULL (`llm_calls()` has what was asked and answered).",
    forms=(
        Form(
            names=("AI.IF",),
            parameters=("prompt",),
            options=_COMMON,
            rewrite=_if,
            needs=("LLM_FILTER",),
            result="BOOLEAN",
            summary="Whether a condition holds.",
            example=f"SELECT body\n{_TICKETS}\nWHERE AI.IF(('Is this about money? ', body), connection_id => 'us.vertex')",
        ),
        Form(
            names=("AI.GENERATE",),
            parameters=("prompt",),
            options={**_COMMON, "output_schema": CODE},
            rewrite=_generate,
            needs=("LLM_COMPLETE",),
            result="STRUCT(result VARCHAR, full_response JSON, status VARCHAR), or the schema's fields in the place of result",
            summary="An answer as text, or as the fields of a schema.",
            example=f"SELECT AI.GENERATE(('What is wrong? ', body), output_schema => 'fault STRING, urgency INT64').fault\n{_TICKETS}",
        ),
        _generated("GENERATE_BOOL", "BOOLEAN", "AI.GENERATE_BOOL(('Is this a question? ', body)).result"),
        _generated("GENERATE_INT", "BIGINT", "AI.GENERATE_INT(('How many things are wrong? ', body)).result"),
        _generated("GENERATE_DOUBLE", "DOUBLE", "AI.GENERATE_DOUBLE(('Hours lost: ', body)).result"),
        Form(
            names=("AI.CLASSIFY",),
            parameters=("input", "categories"),
            required=2,
            options={**_COMMON, "output_mode": CODE},
            rewrite=_classify,
            needs=("LLM_CLASSIFY",),
            result="VARCHAR, or VARCHAR[] with output_mode => 'multi'",
            summary="The category that fits; categories are texts or tuples of a text and its description.",
            example=f"SELECT AI.CLASSIFY(body, categories => [('delivery', 'where is it'), ('payment', 'money')]) AS topic\n{_TICKETS}",
        ),
        Form(
            names=("AI.SCORE",),
            parameters=("prompt",),
            options=_COMMON,
            rewrite=_score,
            needs=("LLM_SCORE",),
            result="DOUBLE, from 0 to 1",
            summary="How well a condition holds.",
            example=f"SELECT body\n{_TICKETS}\nORDER BY AI.SCORE(('How angry is this? ', body)) DESC",
        ),
        Form(
            names=("AI.EMBED",),
            parameters=("content",),
            options={**_WITHOUT_EXAMPLES, "model": MODEL, "task_type": IGNORED, "title": IGNORED},
            rewrite=_embed,
            needs=("LLM_EMBED",),
            result="STRUCT(result FLOAT[n], status VARCHAR)",
            summary="The embedding of a text.",
            example=f"SELECT len(AI.EMBED(body, endpoint => 'text-embedding-005').result) AS dimension\n{_TICKETS}",
        ),
        Form(
            names=("AI.SIMILARITY",),
            parameters=("content1", "content2"),
            required=2,
            options={**_WITHOUT_EXAMPLES, "model": MODEL},
            rewrite=_similarity,
            needs=("LLM_SIMILARITY",),
            result="DOUBLE",
            summary="How near two texts are in meaning.",
            example=f"SELECT AI.SIMILARITY(body, 'a lost parcel', endpoint => 'text-embedding-005') AS nearness\n{_TICKETS}",
        ),
        Form(
            names=("AI.AGG",),
            parameters=("input", "instruction"),
            required=2,
            options=_WITHOUT_EXAMPLES,
            rewrite=_agg,
            needs=("LLM_AGG",),
            result="VARCHAR",
            summary="One answer about all values of a group.",
            example=f"SELECT AI.AGG(body, 'What do they want?') AS wish\n{_TICKETS}",
            aggregate=True,
        ),
    ),
)
