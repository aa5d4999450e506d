"""Whether an expression that a model wrote may be run: told from DuckDB's own parse of it, by lists of what is allowed.

What is not on a list is refused: subqueries, stars, lambdas, windows, parameters, names of anything but the inputs, and
every function that is not named here. Patterns and replacements must be literals, so that a row cannot bring its own, and
no step makes a text more than three times as long.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import duckdb

Node = Mapping[str, Any]

MOST_CHARS, MOST_DEPTH, MOST_NODES = 4_000, 40, 400
MOST_LITERAL, MOST_REPLACEMENT, MOST_GROWTH = 300, 2, 2
MOST_WILDCARDS, MOST_REPEATS = 3, 256

FUNCTIONS = frozenset((
    "abs", "ceil", "char_length", "concat", "contains", "date_part", "day", "dayofweek", "ends_with", "floor", "greatest",
    "hour", "if", "ifnull", "instr", "least", "left", "len", "length", "lower", "ltrim", "month", "nullif", "position",
    "regexp_extract", "regexp_full_match", "regexp_matches", "regexp_replace", "replace", "reverse", "right", "round", "rtrim",
    "sign", "split_part", "starts_with", "strip_accents", "strpos", "struct_pack", "substr", "substring", "trim", "upper", "year",
))  # fmt: skip
"""Scalar, stable, and of no effect; none makes much of little (``repeat``, ``lpad``, ``format``) or takes quadratic time."""
_LIKE = frozenset(("~~", "!~~", "~~*", "!~~*"))
_OPERATORS = _LIKE | {"+", "-", "*", "/", "//", "%", "||"}
_GROWING = frozenset(("replace", "regexp_replace"))
_PATTERNS = _LIKE | _GROWING | {"regexp_matches", "regexp_full_match", "regexp_extract"}
_TYPES = frozenset((
    "BIGINT", "BOOL", "BOOLEAN", "DATE", "DECIMAL", "DOUBLE", "FLOAT", "HUGEINT", "INT", "INTEGER", "NUMERIC", "REAL", "SMALLINT",
    "STRING", "TEXT", "TIME", "TIMESTAMP", "TINYINT", "VARCHAR",
))  # fmt: skip
_TESTS = frozenset((
    "COMPARE_IN", "COMPARE_NOT_IN", "OPERATOR_COALESCE", "OPERATOR_IS_NOT_NULL", "OPERATOR_IS_NULL", "OPERATOR_NOT", "OPERATOR_TRY",
))  # fmt: skip
_COMMON = frozenset(("class", "type", "alias", "query_location", "query_location_length"))
_PARTS: Mapping[str, frozenset[str]] = {
    "COLUMN_REF": frozenset(("column_names",)),
    "CONSTANT": frozenset(("literal",)),
    "CAST": frozenset(("child", "try_cast", "type_expr")),
    "OPERATOR": frozenset(("children",)),
    "CONJUNCTION": frozenset(("children",)),
    "COMPARISON": frozenset(("left", "right")),
    "BETWEEN": frozenset(("input", "lower", "upper")),
    "CASE": frozenset(("case_checks", "else_expr")),
    "FUNCTION": frozenset((
        "arguments", "catalog", "distinct", "export_state", "filter", "function_name", "is_operator", "order_bys",
        "qualified_name", "schema",
    )),
}  # fmt: skip
"""Classes of expressions, and all that one may have: what a later DuckDB adds is refused until somebody has looked at it."""
_PLAIN = {"catalog": "", "schema": "", "filter": None, "distinct": False, "export_state": False}
_REPEATS = re.compile(r"\{(\d*),?(\d*)\}")


class ExpressionError(ValueError):
    """An expression that is not run, and why."""


def checked(text: str, columns: Collection[str], connection: duckdb.DuckDBPyConnection) -> str:
    """The expression as DuckDB prints it, which is what may be run: no comment, no second statement is left in it.

    Parameters
    ----------
    columns : the names that it may use. connection : parses, and runs nothing of it.

    Raises
    ------
    ExpressionError : something in it is not allowed; the message says what, for who wrote it.
    """
    if not text.strip() or len(text) > MOST_CHARS:
        raise ExpressionError(f"An expression has 1 to {MOST_CHARS:,} characters.")
    if not text.replace("\n", " ").replace("\t", " ").isprintable():
        raise ExpressionError("It has control characters.")
    found = connection.execute("SELECT json_deserialize_sql(?::JSON)", [_allowed(f"({text}\n)", columns, connection)])
    printed = str(found.fetchall()[0][0]).removeprefix("SELECT ")
    _allowed(printed, columns, connection)
    return printed


def _allowed(text: str, columns: Collection[str], connection: duckdb.DuckDBPyConnection) -> str:
    """The parse of a text that is allowed, as JSON."""
    parse, bare = _parsed(f"SELECT {text}", connection), _parsed("SELECT 1", connection)
    items = _items(parse)
    # All but the expression is as in a SELECT that has nothing else.
    if (
        len(items) != 1
        or items[0]["alias"]
        or {**_node(parse), "select_list": ()} != {**_node(bare), "select_list": ()}
    ):
        raise ExpressionError("It is not one expression.")
    _Look(frozenset(columns)).at(items[0], 0, 0)
    return json.dumps(parse)


def _parsed(sql: str, connection: duckdb.DuckDBPyConnection) -> Node:
    try:
        parse: Node = json.loads(connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()[0][0])
    except (duckdb.Error, RecursionError) as error:
        raise ExpressionError(f"It cannot be parsed: {str(error).splitlines()[0]}") from None
    if parse["error"]:
        raise ExpressionError(f"It cannot be parsed: {parse['error_message']}")
    if len(parse["statements"]) != 1 or parse["statements"][0]["named_param_map"]:
        raise ExpressionError("It is not one expression.")
    return parse


def _node(parse: Node) -> Node:
    node: Node = parse["statements"][0]["node"]
    return node


def _items(parse: Node) -> Sequence[Node]:
    return _node(parse).get("select_list") or ()


class _Look:
    """One look at an expression. Parameters: the names it may use."""

    def __init__(self, columns: Collection[str]) -> None:
        self._columns, self._nodes = columns, 0

    def at(self, node: Node, depth: int, growth: int) -> None:
        """Raise if something in it is not allowed. ``growth`` : steps above it that make texts longer."""
        self._nodes += 1
        if depth > MOST_DEPTH or self._nodes > MOST_NODES:
            raise ExpressionError(f"It is nested more than {MOST_DEPTH} deep, or has more than {MOST_NODES} parts.")
        kind = node["class"]
        if kind not in _PARTS or not node.keys() <= _COMMON | _PARTS[kind]:
            raise ExpressionError(f"{kind} is not allowed.")
        self._itself(kind, node)
        growth += kind == "FUNCTION" and _grows(node)
        if growth > MOST_GROWTH:
            raise ExpressionError(
                f"More than {MOST_GROWTH} replacements by something longer, within one another, are not allowed."
            )
        for child in _below(kind, node):
            self.at(child, depth + 1, growth)

    def _itself(self, kind: str, node: Node) -> None:
        match kind:
            case "COLUMN_REF":
                self._column(node["column_names"])
            case "CONSTANT":
                _constant(node["literal"])
            case "CAST":
                _cast(node["type_expr"])
            case "OPERATOR" if node["type"] not in _TESTS:
                raise ExpressionError(f"{node['type']} is not allowed.")
            case "FUNCTION":
                _function(node)

    def _column(self, path: Sequence[str]) -> None:
        if len(path) != 1 or path[0].lower() not in self._columns:
            raise ExpressionError(f"There is no column {'.'.join(path)}; there are {', '.join(sorted(self._columns))}.")


def _below(kind: str, node: Node) -> Iterator[Node]:
    """The expressions of which it is made."""
    match kind:
        case "CAST":
            yield node["child"]
        case "OPERATOR" | "CONJUNCTION":
            yield from node["children"]
        case "CASE":
            yield from (part for check in node["case_checks"] for part in (check["when_expr"], check["then_expr"]))
            yield node["else_expr"]
        case "FUNCTION":
            yield from _arguments(node)
        case "COMPARISON" | "BETWEEN":
            yield from (node[part] for part in sorted(_PARTS[kind]))


def _arguments(node: Node) -> list[Node]:
    return [argument["expression"] for argument in node["arguments"]]


def _constant(literal: Node) -> None:
    text = str(literal["text"])
    if len(text) > MOST_LITERAL or not text.isprintable():
        raise ExpressionError(f"A literal has more than {MOST_LITERAL} characters, or control characters.")


def _cast(kind: Node) -> None:
    name = str(kind.get("type_name", "")).upper()
    plain = (
        kind["class"] == "TYPE"
        and not kind["catalog"]
        and not kind["schema"]
        and len(kind["qualified_name"]["path"]) == 1
    )
    if not plain or name not in _TYPES or any(each["class"] != "CONSTANT" for each in kind["children"]):
        raise ExpressionError(f"CAST to {name} is not allowed.")


def _function(node: Node) -> None:
    name = node["function_name"]
    plain = all(node[part] == value for part, value in _PLAIN.items()) and len(node["qualified_name"]["path"]) == 1
    if not plain or node["order_bys"]["orders"] or name not in (_OPERATORS if node["is_operator"] else FUNCTIONS):
        raise ExpressionError(f"The function {name} is not allowed, or not in this way.")
    if name in _PATTERNS:
        _pattern(name, _arguments(node)[1:])


def _grows(node: Node) -> bool:
    """Whether a text may become longer by it than its arguments are together."""
    if node["function_name"] not in _GROWING:
        return False
    _, pattern, replacement, *_ = (str(each.get("literal", {}).get("text", "")) for each in _arguments(node))
    return len(replacement) > (len(pattern) if node["function_name"] == "replace" else 0)


def _pattern(name: str, arguments: Sequence[Node]) -> None:
    """What a text is compared with stands in the expression, and is short to look for."""
    if not arguments or any(each["class"] != "CONSTANT" for each in arguments):
        raise ExpressionError(f"Patterns, replacements and options of {name} must be literals.")
    texts = [str(each["literal"]["text"]) for each in arguments]
    if name in _LIKE and texts[0].count("%") > MOST_WILDCARDS:
        raise ExpressionError(f"A pattern has at most {MOST_WILDCARDS} %.")
    repeats = math.prod(max(1, *(int(number or 0) for number in found)) for found in _REPEATS.findall(texts[0]))
    if name.startswith("regexp") and repeats > MOST_REPEATS:
        raise ExpressionError("The counted repetitions of a pattern multiply to too many.")
    if name in _GROWING and (len(texts) < 2 or len(texts[1]) > MOST_REPLACEMENT):
        raise ExpressionError(f"A replacement has at most {MOST_REPLACEMENT} characters.")
