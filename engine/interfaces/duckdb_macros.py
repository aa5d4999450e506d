"""SQL that puts a semantic function's signature over a vectorised Python function.

A DuckDB function written in Python has one return type, positional arguments and no defaults. A macro gives it named
arguments with defaults, and its result a type: the answers come as JSON, and ``from_json`` reads them as the type that the
call's own constants spell out. ``[x][1]`` in place of ``x`` keeps DuckDB from asking for a constant when the macro is made,
before ``x`` is known; once a call puts a literal there, it is one.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...udfs.models.base import Capabilities
from ...udfs.spec import DYNAMIC, Arguments, Parameter, SemanticFunction
from ..sql.common_options import COMMON_OPTIONS

MOST_INPUTS = 8
ABSENT = "__anser_absent"
"""An input that was not given, as opposed to one that is NULL: a STRUCT with this field."""

# Result types that depend on the call, as DuckDB's JSON structure.
_STRUCTURES = {
    "LLM_EXTRACT": "to_json([fields][1])",
    "LLM_EXTRACT_TABLE": """'[' || json_merge_patch(to_json([fields][1]), '{"ordinal":"BIGINT"}') || ']'""",
    "LLM_COMPLETE": "to_json([coalesce(returns, 'VARCHAR')][1])",
    "LLM_AGG": "to_json([coalesce(returns, 'VARCHAR')][1])",
    "LLM_REDACT": """CASE WHEN [details][1] THEN
        '{"text":"VARCHAR","spans":[{"label":"VARCHAR","text":"VARCHAR","start":"INTEGER","end":"INTEGER"}]}'
        ELSE '"VARCHAR"' END""",
    "LLM_SENTIMENT": """CASE WHEN [aspects][1] IS NULL THEN '"VARCHAR"'
        ELSE '{' || array_to_string([to_json(aspect) || ':"VARCHAR"' FOR aspect IN [aspects][1]], ',') || '}' END""",
    "LLM_CLASSIFY": """CASE WHEN [multi][1] THEN '["VARCHAR"]' ELSE '"VARCHAR"' END""",
}


def is_constant(parameter: Parameter) -> bool:
    """Whether a parameter is taken from the call and not from the row."""
    return parameter.kind == "constant" or parameter.name == "condition"


def returns_vector(function: SemanticFunction) -> bool:
    """Whether answers come as FLOAT[] and not as JSON, which would be a waste."""
    return function.sql_name not in _STRUCTURES and _static_type(function).startswith("FLOAT[")


def macro(function: SemanticFunction, name: str, native: str, on_error: str) -> str:
    """``CREATE MACRO`` for one name of a function.

    Parameters
    ----------
    native : name of the Python function: ``(call's constants as JSON, input, …)``.
    on_error : the default of that option.
    """
    signature = [_quoted(p) + (" := NULL" if p.optional else "") for p in function.parameters if not p.variadic]
    inputs = [_quoted(p) for p in function.parameters if not is_constant(p) and not p.variadic]
    if function.parameters[-1].variadic:
        more = _more_inputs(function.parameters)
        signature += [f"{extra} := {{{ABSENT}: true}}" for extra in more]
        inputs += more
    if function.kind == "aggregate":
        inputs[0] = f"list({inputs[0]})"
    options = [option.name for option in (*COMMON_OPTIONS, *function.options)]
    defaults = {"on_error": f"'{on_error}'"}
    signature += [f"{option} := {defaults.get(option, 'NULL')}" for option in options]
    constants = [_quoted(p) for p in function.parameters if is_constant(p)]
    call = f"to_json({{options: {_struct(options)}, constants: {_struct(constants)}}})"
    asked = f"{native}({', '.join([call, *inputs])})"
    body = asked if returns_vector(function) else f"from_json({asked}, {_structure(function)})"
    return f"CREATE OR REPLACE TEMP MACRO {name.lower()}({', '.join(signature)}) AS {body}"


def table_macro(function: SemanticFunction, name: str, on_error: str) -> str:
    """``CREATE MACRO … AS TABLE`` for one name of a function whose answer is a list of rows: what it means in FROM."""
    parameters = [_quoted(p) for p in function.parameters]
    options = [option.name for option in (*COMMON_OPTIONS, *function.options)]
    defaults = {"on_error": f"'{on_error}'"}
    signature = [*parameters, *(f"{option} := {defaults.get(option, 'NULL')}" for option in options)]
    call = f"{name.lower()}({', '.join([*parameters, *(f'{o} := {o}' for o in options)])})"
    return f"CREATE OR REPLACE TEMP MACRO {name.lower()}({', '.join(signature)}) AS TABLE SELECT unnest({call}, max_depth := 2)"


def _quoted(parameter: Parameter) -> str:
    return f'"{parameter.name}"'  # it may be a keyword, such as to


def _more_inputs(parameters: Sequence[Parameter]) -> list[str]:
    """Names of the inputs that may be left out."""
    given = sum(p.name == "input" for p in parameters[:-1])
    return [f"input_{i + 1}" if i else "input" for i in range(given, MOST_INPUTS)]


def _struct(names: Sequence[str]) -> str:
    return f"{{{', '.join(f'{name}: {name}' for name in names)}}}" if names else "NULL"


def _structure(function: SemanticFunction) -> str:
    value = _STRUCTURES.get(function.sql_name) or f"""'"{_static_type(function)}"'"""
    details = f"""'{{"value":' || {value} || ',"error":"VARCHAR"}}'"""
    return f"CASE WHEN [on_error][1] = 'details' THEN {details} ELSE {value} END"


def _static_type(function: SemanticFunction) -> str:
    unknown = Arguments(tuple(DYNAMIC for _ in function.parameters), (), (), {})
    return function.returns(unknown, Capabilities()).text
