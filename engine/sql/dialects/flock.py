"""Flock's functions: a struct for the model, a struct for the prompt and the columns it is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..tokens import Range
from .form import Dialect, Form
from .parts import New, Part, Parts, items, joined, literal, struct
from .prompt import Prompt, escaped, unescaped
from .spoken import Spoken

_ASKED = "Give the answer that {0} asks for."


def _has_structs(call: Spoken) -> bool:
    first = call.get("model")
    return first is not None and call.text.word(first.lo) == "{"


def _model(call: Spoken) -> dict[str, Part]:
    """The options that the model's struct holds."""
    settings = call.entries(call.given["model"])
    name = settings.pop("model_name", None)
    found: dict[str, Part] = {} if name is None else {n: p[0] for n, p in call.model(name).items()}
    if (parameters := settings.pop("model_parameters", None)) is not None:
        found |= call.model_parameters(parameters)
    call.ignore(*settings)
    return found


def _columns(call: Spoken) -> dict[str, Range]:
    """The columns that a prompt is about, by the names it has for them."""
    third = call.get("columns")
    if third is not None:
        return call.entries(third)
    where = call.entries(call.given["prompt"]).get("context_columns")
    if where is None:
        return {}
    found: dict[str, Range] = {}
    for item in items(call.text, where) or [where]:
        fields = call.entries(item)
        if "data" not in fields:
            raise call.wrong(item, "needs its data: {'data': column, 'name': 'x'}")
        data = fields.pop("data")
        name = fields.pop("name", None)
        kind = fields.pop("type", None)
        if kind is not None and call.constant(kind) != "tabular":
            raise call.wrong(kind, "must be 'tabular': images and audio are not read")
        call.ignore(*fields)
        found[call.text.source(data) if name is None else str(call.constant(name))] = data
    return found


def _words(call: Spoken) -> tuple[str, Range]:
    fields = call.entries(call.given["prompt"])
    where = fields.pop("prompt", None)
    if where is None:
        by_name = fields.get("prompt_name")
        kept = f"; a prompt that CREATE PROMPT keeps is {{'prompt': '@{call.constant(by_name)}'}}" if by_name else ""
        raise call.wrong(call.given["prompt"], f"needs {{'prompt': '…'}}{kept}")
    for name in fields.keys() - {"context_columns"}:
        call.ignore(name)
    words = escaped(str(call.constant(where)))
    return words, where


def _prompt(call: Spoken) -> Prompt:
    """The prompt with ``{name}`` of a context column turned into its number."""
    words, where = _words(call)
    columns = _columns(call)
    for number, name in enumerate(columns):
        words = words.replace(f"{{{{{name}}}}}", f"{{{number}}}")
    return Prompt(words, tuple(columns.values()), where)


def _scalar(function: str) -> Callable[[Spoken], Parts]:
    def rewrite(call: Spoken) -> Parts:
        return call.call(function, _prompt(call).arguments(_ASKED), _model(call))

    return rewrite


def _row(call: Spoken) -> Parts:
    """The context columns of a row as one value."""
    columns = _columns(call)
    if not columns:
        raise ValueError("it needs context_columns: {'prompt': '…', 'context_columns': [{'data': column}]}")
    return struct({name: (where,) for name, where in columns.items()})


def _reduce(call: Spoken) -> Parts:
    words, where = _words(call)
    columns = list(_columns(call).values())
    data: Parts = (columns[0],) if len(columns) == 1 else _row(call)
    said = unescaped(words)
    return call.call("LLM_AGG", [data, (New(literal(said), where),)], _model(call))


def _scored(call: Spoken) -> Parts:
    return call.call("LLM_SCORE", _prompt(call).arguments(), _model(call))


def _best(function: str) -> Callable[[Spoken], Parts]:
    def rewrite(call: Spoken) -> Parts:
        return (f"{function}(to_json(", *_row(call), "), ", *_scored(call), ")")

    return rewrite


def _rerank(call: Spoken) -> Parts:
    return ("to_json(list(", *_row(call), " ORDER BY ", *_scored(call), " DESC))")


def _embedding(call: Spoken) -> Parts:
    columns = list(_columns(call).values())
    if not columns:
        raise ValueError("it needs context_columns: {'context_columns': [{'data': column}]}")
    data: Parts = (columns[0],) if len(columns) == 1 else ("concat_ws(' ', ", *joined([(c,) for c in columns]), ")")
    return call.call("LLM_EMBED", [data], _model(call))


def _example(call: str) -> str:
    columns = "[{'data': body, 'name': 'message'}]"
    said = call.replace("COLUMNS", f"'context_columns': {columns}").replace("MODEL", "{'model_name': 'gpt-4o'}")
    return f"SELECT {said}\nFROM (VALUES ('Where is my parcel?'), ('I was charged twice.')) AS tickets(body)"


def _form(
    name: str, function: str, rewrite: Callable[[Spoken], Parts], result: str, summary: str, said: str, **more: Any
) -> Form:
    return Form(
        names=(name,),
        parameters=("model", "prompt", "columns"),
        required=2,
        matches=_has_structs,
        rewrite=rewrite,
        needs=(function,),
        result=result,
        summary=summary,
        example=_example(said),
        on_error="fail",
        **more,
    )


DIALECT = Dialect(
    name="Flock",
    summary="The first argument is `{'model_name': …}`, by which these calls are told from ours of the same name. A failed row "
    "fails the query, as it does there; what was answered by then is kept and not asked again.",
    forms=(
        _form(
            "LLM_FILTER", "LLM_FILTER", _scalar("LLM_FILTER"), "BOOLEAN", "Whether a condition holds.",
            "llm_filter(MODEL, {'prompt': 'Is {message} about money?', COLUMNS}) AS money",
        ),
        _form(
            "LLM_COMPLETE", "LLM_COMPLETE", _scalar("LLM_COMPLETE"), "VARCHAR", "The answer to a prompt.",
            "llm_complete(MODEL, {'prompt': 'Answer {message} kindly', COLUMNS}) AS reply",
        ),
        _form(
            "LLM_REDUCE", "LLM_AGG", _reduce, "VARCHAR", "One answer about all rows of a group.",
            "llm_reduce(MODEL, {'prompt': 'What do they want?', COLUMNS}) AS wish", aggregate=True,
        ),
        _form(
            "LLM_RERANK", "LLM_SCORE", _rerank, "JSON", "The rows of a group, the most fitting first.",
            "llm_rerank(MODEL, {'prompt': 'the most urgent', COLUMNS}) AS ranked",
        ),
        _form(
            "LLM_FIRST", "LLM_SCORE", _best("arg_max"), "JSON", "The row of a group that fits best.",
            "llm_first(MODEL, {'prompt': 'the most urgent', COLUMNS}) AS first",
        ),
        _form(
            "LLM_LAST", "LLM_SCORE", _best("arg_min"), "JSON", "The row of a group that fits least.",
            "llm_last(MODEL, {'prompt': 'the most urgent', COLUMNS}) AS last",
        ),
        _form(
            "LLM_EMBEDDING", "LLM_EMBED", _embedding, "FLOAT[n]", "The embedding of a row's columns.",
            "len(llm_embedding(MODEL, {COLUMNS})) AS dimension",
        ),
    ),
)  # fmt: skip
