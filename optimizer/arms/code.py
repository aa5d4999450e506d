"""The call's own model writes an SQL expression from the first rows and their answers, and the expression answers the others."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ...engine.plan.nodes import Arm, SemanticCall
from ...engine.types import SqlType, parse_type
from ...udfs.spec import DYNAMIC
from ..context import Context
from ..kinds_of_prompt import WRITTEN, alone, hopeless

FUNCTIONS = frozenset(("LLM_FILTER", "LLM_CLASSIFY", "LLM_SENTIMENT", "LLM_EXTRACT", "LLM_COMPLETE"))
_INSTRUCTED = frozenset(("LLM_FILTER", "LLM_COMPLETE"))
"""Their first argument is the instruction, which must be the same for all rows."""
LEFT_OPEN = 0.1
"""Share of rows of which an expression is expected not to know the answer; they are the reference's."""
WHOLE = frozenset(("tinyint", "smallint", "integer", "bigint"))
_INPUTS = WHOLE | {"boolean", "varchar", "float", "double", "decimal", "date", "timestamp"}
_ANSWERS = WHOLE | {"boolean", "varchar", "decimal", "date", "enum"}


def code(call: SemanticCall, context: Context) -> Iterator[Arm]:
    """One arm, where the user allows it, of calls over plain columns with plain answers: one prompt for all rows, then nothing."""
    if not context.settings.llm_code_arms or call.function not in FUNCTIONS or call.top_k is not None:
        return
    if not alone(call) or not _plain(call):
        return
    own = str(call.options["model"])
    begin, end = sql_arm(own, "…").split("…")
    known = [name for name in context.statistics.arms(call) if name.startswith(begin) and name.endswith(end)]
    alive = [name for name in known if not hopeless(name, call, context)]
    if alive:
        best = max(alive, key=partial(_least, call, context))
        yield Arm(best, {"model": own, WRITTEN: best.removeprefix(begin).removesuffix(end)})
    elif not known:
        yield Arm(sql_arm(own), {"model": own, WRITTEN: ""})


def sql_arm(model: str, expression: str = "") -> str:
    """The arm's name. What is found of an expression is kept with it, and a later query takes it as it is.

    >>> sql_arm("large"), sql_arm("large", "body = 'a'")
    ('SQL written by large', "SQL written by large: body = 'a';")
    """
    return f"SQL written by {model}{f': {expression};' if expression else ''}"


def _least(call: SemanticCall, context: Context, name: str) -> float:
    """Agreement that is all but sure."""
    figure = context.statistics.agreement(call, name)
    return 0.0 if figure is None else figure.value if figure.low is None else figure.low


def _plain(call: SemanticCall) -> bool:
    """Whether an expression can read the inputs and give the answer."""
    given = zip(call.constants, call.argument_types, strict=False)
    inputs = [parse_type(kind) for constant, kind in given if constant is DYNAMIC]
    if not inputs or (call.function in _INSTRUCTED and call.constants[0] is DYNAMIC):
        return False
    return all(kind.kind in _INPUTS for kind in inputs) and _answers(parse_type(call.output.type))


def _answers(kind: SqlType) -> bool:
    if kind.kind == "struct":
        return all(field.kind in _ANSWERS for _, field in kind.fields)
    return kind.kind in _ANSWERS


KIND = code
