"""Snowflake's Cortex AI functions."""

from __future__ import annotations

import re
from typing import Any

from ...errors import BindError
from ...types import parse_type, struct_of
from ..tokens import Range
from .form import CODE, DETAILS, IGNORED, MODEL, Dialect, Form
from .labels import has_structs, labels
from .parts import New, Part, Parts, call_of, is_text, literal
from .prompt import escaped, is_composed, read_prompt
from .spoken import Spoken
from .types import descriptions, duckdb_type, schema_type

_DETAILS = {"return_error_details": DETAILS}
_MODEL_NAME = re.compile(r"[\w.:/@-]*[-/\d][\w.:/@-]*")
_ASKED = "Give the answer that {0} asks for."


def _has_details(call: Spoken) -> bool:
    return "return_error_details" in call.given


def _is_filter(call: Spoken) -> bool:
    where = call.get("input")
    return where is not None and (_has_details(call) or is_composed(call.text, where))


def _filter(call: Spoken) -> Parts:
    where = call.given["input"]
    first: list[Parts] = call.prompt("input").arguments() if is_composed(call.text, where) else [(where,)]
    return call.call("LLM_FILTER", [*first, *((r,) for r in call.rest)])


def _is_model_first(call: Spoken) -> bool:
    """``AI_COMPLETE('claude-4-sonnet', …)``: our own AI_COMPLETE has the prompt there."""
    if len(call.written.arguments) < 2:
        return {"model", "prompt"} <= set(call.written.options)
    model, prompt = call.written.arguments[:2]
    if not is_text(call.text, model) or "model" in call.written.options:
        return False
    return call_of(call.text, prompt, "PROMPT") is not None or _is_model(call, str(call.constant(model)))


def _is_model(call: Spoken, name: str) -> bool:
    """One word with a digit or a hyphen in it, or the name of a model of ours."""
    if _MODEL_NAME.fullmatch(name):
        return True
    try:
        call.catalog.capabilities(name)
    except BindError:
        return False
    return True


def _complete(call: Spoken) -> Parts:
    options: dict[str, Part] = {}
    if (where := call.get("model_parameters")) is not None:
        options |= call.model_parameters(where)
    if (where := call.get("response_format")) is not None:
        options["returns"] = _response_format(call, where)
    return call.call("LLM_COMPLETE", call.prompt("prompt").arguments(_ASKED), options)


def _response_format(call: Spoken, where: Range) -> New:
    """A JSON schema, or ``TYPE OBJECT(name STRING, …)``."""
    if call.text.word(where.lo) != "TYPE":
        return call.typed(where, schema_type)
    written = call.text.source(Range(where.lo + 1, where.hi))
    try:
        return New(literal(duckdb_type(written, "snowflake")), where)
    except ValueError as error:
        raise call.wrong(where, f"is not right: {error}") from None


def _is_classify(call: Spoken) -> bool:
    config, where = call.get("config_object"), call.get("categories")
    if config is not None:
        return call.text.word(config.lo) in ("{", "OBJECT_CONSTRUCT")
    given = call.get("input")
    prompt = given is not None and call_of(call.text, given, "PROMPT") is not None
    return _has_details(call) or prompt or (where is not None and has_structs(call, where))


def _classify(call: Spoken) -> Parts:
    config = call.get("config_object")
    settings = {} if config is None else call.entries(config)
    mode = settings.pop("output_mode", None)
    many = mode is not None and call.constant(mode) == "multi"
    options: dict[str, Part] = {"multi": "true"} if many else {}
    if (words := settings.pop("task_description", None)) is not None:
        options["instructions"] = words
    call.ignore(*settings)
    made = call.call("LLM_CLASSIFY", [_text(call, "input"), labels(call, call.given["categories"])], options)
    if call.details:
        answer = "r.value" if many else "CASE WHEN r.value IS NOT NULL THEN [r.value] END"
        return call.shaped(made, f"{{'value': {{'labels': {answer}}}, 'error': r.error}}")
    return call.shaped(made, f"{{'labels': {'r' if many else '[r]'}}}")


def _text(call: Spoken, name: str) -> Parts:
    """A value to work on; ``PROMPT('… {0}', a)`` as the text that it makes."""
    where = call.given[name]
    if call_of(call.text, where, "PROMPT") is None:
        return (where,)
    prompt = read_prompt(call.text, where, call.constant)
    values = [part for i in prompt.inputs for part in (", ", i)]
    return (f"format({literal(prompt.words)}", *values, ")")


def _is_extract(call: Spoken) -> bool:
    if "responseformat" in call.written.options:
        return True
    where = call.get("responseformat")
    if where is None or call.text.word(where.lo) not in ("{", "["):
        return False
    try:
        declared = call.constant(where)
    except BindError:
        return False  # ours says better what it takes
    if isinstance(declared, list):
        return any(isinstance(field, list) for field in declared)
    return any(isinstance(question, str) and not _is_type(question) for question in declared.values())


def _is_type(words: str) -> bool:
    try:
        parse_type(words)
    except ValueError:
        return False
    return True


def _extract(call: Spoken) -> Parts:
    where = call.given["responseformat"]
    declared = call.constant(where)
    if isinstance(declared, dict) and "schema" in declared:
        kind, questions = schema_type(declared), descriptions(declared)
    else:
        questions = _questions(declared)
        kind = struct_of(dict.fromkeys(questions, "VARCHAR")).text
    asked = "".join(f"\n- {escaped(n)}: {escaped(q)}" for n, q in questions.items())
    words = f"Extract these fields from the input, null where it does not state them:{asked}"
    arguments: list[Parts] = [(New(literal(words), where),), _text(call, "text")]
    made = call.call("LLM_COMPLETE", arguments, {"returns": New(literal(kind), where)}, details=True)
    return call.shaped(made, "{'response': r.value, 'error': r.error}")


def _questions(declared: Any) -> dict[str, str]:
    pairs = declared.items() if isinstance(declared, dict) else [_question(field) for field in declared]
    return {str(name): str(question) for name, question in pairs}


def _question(field: Any) -> tuple[str, str]:
    if isinstance(field, list):
        if len(field) != 2:
            raise ValueError("responseFormat has pairs of a name and a question: [['name', 'What is the name?']]")
        return str(field[0]), str(field[1])
    return str(field), str(field)


def _embed(call: Spoken) -> Parts:
    return call.call("LLM_EMBED", [(call.given["input"],)])


def _similarity(call: Spoken) -> Parts:
    options: dict[str, Part] = {}
    if (config := call.get("config_object")) is not None:
        settings = call.entries(config)
        if (name := settings.pop("model", None)) is not None:
            options = {option: parts[0] for option, parts in call.model(name).items()}
        call.ignore(*settings)
    return call.call("LLM_SIMILARITY", [(call.given["input1"],), (call.given["input2"],)], options)


def _sentiments(call: Spoken) -> Parts:
    """Snowflake has the answer as a list of names and sentiments, the overall one first."""
    where = call.get("categories")
    if where is None:
        return call.call("LLM_SENTIMENT", [(call.given["text"],)])
    declared = call.constant(where)
    if not isinstance(declared, list) or not declared:
        raise call.wrong(where, "must be a list of aspects: ['price', 'service']")
    aspects = [literal(str(aspect)) for aspect in ("overall", *declared)]
    made = call.call(
        "LLM_SENTIMENT",
        [(call.given["text"],)],
        {"aspects": New(f"[{', '.join(aspects)}]", where)},
        details=call.details,
    )
    answer = "r.value" if call.details else "r"
    listed = ", ".join(f"{{'name': {a}, 'sentiment': coalesce({answer}[{a}]::VARCHAR, 'unknown')}}" for a in aspects)
    if call.details:
        inner = f"CASE WHEN r.value IS NOT NULL THEN {{'categories': [{listed}]}} END"
        return call.shaped(made, f"{{'value': {inner}, 'error': r.error}}")
    return call.shaped(made, f"{{'categories': [{listed}]}}")


def _translate(call: Spoken) -> Parts:
    source = call.given["source"]
    known = not is_text(call.text, source) or bool(str(call.constant(source)).strip())
    options: dict[str, Part] = {"from_language": source} if known else {}
    return call.call("LLM_TRANSLATE", [(call.given["text"],), (call.given["target"],)], options)


_TICKETS = "FROM (VALUES ('Where is my parcel?'), ('I was charged twice.')) AS tickets(body)"


def _with_details(
    name: str, function: str, parameters: tuple[str, ...], given: str, *, aggregate: bool = False
) -> Form:
    """A function that is ours but for ``return_error_details``."""

    def rewrite(call: Spoken) -> Parts:
        return call.call(function, [(where,) for parameter in parameters if (where := call.get(parameter)) is not None])

    return Form(
        names=(name,),
        parameters=parameters,
        required=2 if name == "AI_AGG" else 1,
        options=_DETAILS,
        matches=lambda call: _has_details(call) or "input" in call.written.options,
        rewrite=rewrite,
        needs=(function,),
        result="STRUCT(value VARCHAR, error VARCHAR)",
        summary=f"With error details, or `input =>`; without them it is {function}.",
        example=f"SELECT {name}({given}, return_error_details => TRUE) AS answer\n{_TICKETS}",
        aggregate=aggregate,
    )


def _tokens(parameters: tuple[str, ...], given: str) -> Form:
    return Form(
        names=("AI_COUNT_TOKENS",),
        parameters=parameters,
        required=len(parameters),
        options={"model_name": MODEL},
        matches=lambda call: len(call.written.arguments) == len(parameters),
        rewrite=lambda call: call.call("LLM_COUNT_TOKENS", [(call.given["input_text"],)]),
        needs=("LLM_COUNT_TOKENS",),
        result="BIGINT",
        summary=f"With {' and '.join(parameters[:-1]).replace('_name', '')} first.",
        example=f"SELECT AI_COUNT_TOKENS({given}, body) AS tokens\n{_TICKETS}",
    )


DIALECT = Dialect(
    name="Snowflake",
    summary="`return_error_details => TRUE` gives STRUCT(value, error). A failed row is NULL otherwise. Files are not read.",
    same=(
        "AI_FILTER",
        "AI_CLASSIFY",
        "AI_COMPLETE",
        "AI_EXTRACT",
        "AI_AGG",
        "AI_SUMMARIZE_AGG",
        "AI_EMBED",
        "AI_SIMILARITY",
        "AI_SENTIMENT",
        "AI_TRANSLATE",
        "AI_REDACT",
        "AI_COUNT_TOKENS",
    ),
    forms=(
        Form(
            names=("AI_FILTER",),
            parameters=("input",),
            options=_DETAILS,
            variadic=True,
            matches=_is_filter,
            rewrite=_filter,
            needs=("LLM_FILTER",),
            result="BOOLEAN",
            summary="A condition with `PROMPT('… {0} …', column)`, or put together with `||` or `CONCAT`.",
            example=f"SELECT body\n{_TICKETS}\nWHERE AI_FILTER(PROMPT('Is this about money? {{0}}', body))",
        ),
        Form(
            names=("AI_COMPLETE",),
            parameters=("model", "prompt", "model_parameters", "response_format", "show_details"),
            required=2,
            options={
                "model": MODEL,
                "model_parameters": CODE,
                "response_format": CODE,
                "show_details": IGNORED,
                **_DETAILS,
            },
            matches=_is_model_first,
            rewrite=_complete,
            needs=("LLM_COMPLETE",),
            result="VARCHAR, or the STRUCT of the response format's JSON schema",
            summary="The model first, then the prompt.",
            example=f"SELECT AI_COMPLETE('claude-4-sonnet', PROMPT('Answer kindly: {{0}}', body)) AS reply\n{_TICKETS}",
        ),
        Form(
            names=("AI_CLASSIFY",),
            parameters=("input", "categories", "config_object"),
            required=2,
            options={"config_object": CODE, **_DETAILS},
            matches=_is_classify,
            rewrite=_classify,
            needs=("LLM_CLASSIFY",),
            result="STRUCT(labels VARCHAR[])",
            summary="With a configuration object, described categories, PROMPT or error details; without these it is LLM_CLASSIFY.",
            example=f"SELECT AI_CLASSIFY(body, ['delivery', 'payment'], {{'output_mode': 'multi'}}) AS topics\n{_TICKETS}",
        ),
        Form(
            names=("AI_EXTRACT",),
            parameters=("text", "responseFormat"),
            required=2,
            matches=_is_extract,
            rewrite=_extract,
            needs=("LLM_COMPLETE",),
            result="STRUCT(response, error)",
            summary="Questions by name, or a JSON schema; with types in their place it is LLM_EXTRACT.",
            example=f"SELECT AI_EXTRACT(text => body, responseFormat => {{'item': 'Which item is missing?'}}) AS x\n{_TICKETS}",
        ),
        _with_details("AI_AGG", "LLM_AGG", ("input", "instruction"), "body, 'What do they want?'", aggregate=True),
        _with_details("AI_SUMMARIZE_AGG", "LLM_SUMMARIZE", ("input",), "body", aggregate=True),
        _with_details("AI_REDACT", "LLM_REDACT", ("input", "categories"), "body"),
        Form(
            names=("AI_EMBED",),
            parameters=("model", "input"),
            required=2,
            options={"model": MODEL, **_DETAILS},
            matches=lambda call: len(call.written.arguments) - ("return_error_details" in call.given) >= 2,
            rewrite=_embed,
            needs=("LLM_EMBED",),
            result="FLOAT[n]",
            summary="The model first, then the text.",
            example=f"SELECT len(AI_EMBED('snowflake-arctic-embed-m', body)) AS dimension\n{_TICKETS}",
        ),
        Form(
            names=("AI_SIMILARITY",),
            parameters=("input1", "input2", "config_object"),
            required=2,
            options={"config_object": CODE, **_DETAILS},
            matches=lambda call: "config_object" in call.given or _has_details(call),
            rewrite=_similarity,
            needs=("LLM_SIMILARITY",),
            result="DOUBLE",
            summary="With a configuration object, or error details.",
            example=f"SELECT AI_SIMILARITY(body, 'a lost parcel', {{'model': 'e5-base-v2'}}) AS nearness\n{_TICKETS}",
        ),
        Form(
            names=("AI_SENTIMENT",),
            parameters=("text", "categories"),
            options=_DETAILS,
            matches=lambda call: "categories" in call.given or _has_details(call),
            rewrite=_sentiments,
            needs=("LLM_SENTIMENT",),
            result="STRUCT(categories STRUCT(name VARCHAR, sentiment VARCHAR)[])",
            summary="With aspects, or error details; without them it is LLM_SENTIMENT.",
            example=f"SELECT AI_SENTIMENT(body, ['service', 'price']) AS feelings\n{_TICKETS}",
        ),
        Form(
            names=("AI_TRANSLATE",),
            parameters=("text", "source", "target"),
            required=3,
            options=_DETAILS,
            matches=lambda call: "target" in call.given,
            rewrite=_translate,
            needs=("LLM_TRANSLATE",),
            result="VARCHAR",
            summary="From a language into another; the first may be empty. With one language it is LLM_TRANSLATE.",
            example=f"SELECT AI_TRANSLATE(body, 'en', 'de') AS german\n{_TICKETS}",
        ),
        _tokens(("model_name", "input_text"), "'llama3.1-70b'"),
        _tokens(("function_name", "model_name", "input_text"), "'ai_complete', 'llama3.1-70b'"),
    ),
)
