"""Find the semantic calls of a statement: a known name, an opening parenthesis, arguments cut at commas."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ...udfs.spec import SemanticFunction
from ..errors import BindError
from .call_text import position, read_call
from .laterals import in_from
from .tokens import NOTHING, Range, Text

__all__ = ["NAMES_A_TABLE", "LocatedCall", "locate", "mentions", "position"]


# A quick look over characters, at what stands in every call of ours or of a dialect; tokens decide.
_MARKS = re.compile(r"LLM_|\b(?:AI_|AI\s*\.|SEM_|(?:PROMPT|EMBEDDING|FUSION_RRF)\s*(?:\(|/\*|--))")


# Before a parenthesis that lists columns: INSERT INTO llm_log (a). A misspelt function in a JOIN's ON is left to DuckDB, too.
NAMES_A_TABLE = frozenset(["TABLE", "INTO", "EXISTS", "ON", "REFERENCES", "COPY", "VIEW", "WITH", "RECURSIVE"])


@dataclass(frozen=True, slots=True)
class LocatedCall:
    """A call in the text.

    Parameters
    ----------
    function : what it calls. whole : name to closing parenthesis, with a following ``FILTER (…)`` and ``OVER …``.
    arguments : positional arguments. options : named arguments (lower case) and the range of their values.
    modifiers : an aggregate's ``ORDER BY …`` inside the parentheses; ``distinct``: its DISTINCT.
    filter : what ``FILTER (WHERE …)`` holds after WHERE. over : ``OVER …``, where an aggregate is a window function.
    in_from : it is an item of FROM and gives rows.
    """

    function: SemanticFunction
    whole: Range
    arguments: tuple[Range, ...]
    options: Mapping[str, Range]
    distinct: bool
    order_by: Range
    filter: Range
    over: Range = NOTHING
    in_from: bool = False


def locate(text: Text, where: Range, functions: Mapping[str, SemanticFunction]) -> list[LocatedCall]:
    """Every semantic call in the range, nested ones too, in the order of their names in the text.

    Raises
    ------
    BindError : an ``LLM_…`` name that does not exist, or a scalar call with a window.
    """
    found = []
    for index in range(where.lo, where.hi):
        if text.word(index + 1) != "(" or text.tokens[index].quoted or text.word(index - 1) == ".":
            continue
        function = functions.get(text.word(index))
        if function is not None:
            found.append(_call(text, index, function))
        elif text.word(index).startswith("LLM_") and text.word(index - 1) not in NAMES_A_TABLE:
            raise _unknown(text, index, functions)
    return found


def mentions(sql: str, functions: Mapping[str, SemanticFunction]) -> bool:
    """A quick look whether the statement may hold a semantic call; plain SQL need not even be tokenised."""
    upper = sql.upper()
    return _MARKS.search(upper) is not None or any(name in upper for name in functions)


def _call(text: Text, index: int, function: SemanticFunction) -> LocatedCall:
    written = read_call(text, index, index + 1)
    over = _over(text, written.whole.hi)
    if over and function.kind == "scalar":
        raise BindError(
            f"{function.sql_name} is no aggregate, and cannot have an OVER clause. Compute it in a subquery and use the window "
            "above it.",
            position(text, written.whole),
            name=function.sql_name,
        )
    if function.kind == "scalar" and (written.distinct or written.order_by or written.filter):
        raise BindError(
            f"{function.sql_name} is not an aggregate: DISTINCT, ORDER BY and FILTER have no meaning in it.",
            position(text, written.whole),
            name=function.sql_name,
        )
    return LocatedCall(
        function,
        Range(written.whole.lo, over.hi) if over else written.whole,
        written.arguments,
        written.options,
        written.distinct,
        written.order_by,
        written.filter,
        over,
        _gives_rows(text, index, function),
    )


def _over(text: Text, index: int) -> Range:
    """``OVER (…)`` or ``OVER name``, if it stands here."""
    if text.word(index) != "OVER":
        return NOTHING
    return Range(index, text.partner.get(index + 1, index + 1) + 1)


def _gives_rows(text: Text, index: int, function: SemanticFunction) -> bool:
    if not in_from(text, index):
        return False
    if not function.to_many:
        raise BindError(
            f"{function.sql_name} gives a value, not rows: it cannot stand in FROM. Put it into a SELECT list.",
            position(text, Range(index, index + 1)),
            name=function.sql_name,
        )
    return True


def _unknown(text: Text, index: int, functions: Mapping[str, SemanticFunction]) -> BindError:
    name = text.word(index)
    near = difflib.get_close_matches(name, functions, n=2)
    return BindError(
        f"There is no semantic function {name}.", position(text, Range(index, index + 1)), name=name, candidates=near
    )
