"""Whether a FROM has the same rows each time it is read, told from DuckDB's own parse of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Node = Mapping[str, Any]

_READER = re.compile(r"read_\w+|parquet_scan|range|generate_series")
_LITERALS = frozenset({"list_value", "array_value", "struct_pack", "row", "map"})
_JOINS = frozenset({"INNER", "LEFT", "RIGHT", "OUTER", "FULL", "SEMI", "ANTI"})
_PLAIN = frozenset({"COLUMN_REF", "CONSTANT", "COMPARISON", "CONJUNCTION", "OPERATOR", "CAST", "BETWEEN"})
_ONCE = "/dev/"
"""Below it lie pipes, which are empty after the first look."""


def read_again(item: Node, is_table: Callable[[tuple[str, ...]], bool | None]) -> bool:
    """Whether a second look at an item of FROM finds the same rows: tables, files, and joins of these.

    Parameters
    ----------
    item : as ``json_serialize_sql`` writes it.
    is_table : whether the catalogue has a name (its parts) as a table; ``None``: it does not know the name.
    """
    if item.get("sample"):
        return False
    match item["type"]:
        case "BASE_TABLE":
            return not item.get("at_clause") and _named(tuple(item["qualified_name"]["path"]), is_table)
        case "TABLE_FUNCTION":
            return item.get("with_ordinality") == "WITHOUT_ORDINALITY" and _reads(item["function"])
        case "JOIN":
            known = item["join_type"] in _JOINS and item["ref_type"] in ("REGULAR", "CROSS", "NATURAL")
            sides = read_again(item["left"], is_table) and read_again(item["right"], is_table)
            return known and sides and _is_plain(item.get("condition"))
        case _:
            return False


def _named(path: tuple[str, ...], is_table: Callable[[tuple[str, ...]], bool | None]) -> bool:
    found = is_table(path)
    if found is not None:
        return found
    # No name of a Python variable has such signs.
    return len(path) == 1 and any(sign in path[0] for sign in "./*") and not path[0].startswith(_ONCE)


def _reads(function: Node) -> bool:
    """Whether a table function reads files that the text names."""
    path = function["qualified_name"]["path"]
    if len(path) != 1 or not _READER.fullmatch(path[0].lower()):
        return False
    return all(_is_literal(argument["expression"], named=True) for argument in function["arguments"])


def _is_literal(expression: Node, *, named: bool = False) -> bool:
    """Whether it is a value that stands in the text; ``named``: also ``header = true``."""
    match expression["class"]:
        case "CONSTANT":
            return not str(expression["literal"].get("text", "")).startswith(_ONCE)
        case "CAST":
            return _is_literal(expression["child"])
        case "COMPARISON":
            return named and expression["type"] == "COMPARE_EQUAL" and _is_literal(expression["right"])
        case "FUNCTION":
            arguments = (argument["expression"] for argument in expression["arguments"])
            return expression["function_name"] in _LITERALS and all(map(_is_literal, arguments))
        case _:
            return False


def _is_plain(condition: Node | None) -> bool:
    """Whether a condition of a join calls nothing that might tell another thing the next time."""
    return condition is None or all(
        node["class"] in _PLAIN or (node["class"] == "FUNCTION" and node.get("is_operator"))
        for node in _inside(condition)
    )


def _inside(node: object) -> Iterator[Node]:
    """Every expression in a tree."""
    if isinstance(node, dict):
        if "class" in node:
            yield node
        for value in node.values():
            yield from _inside(value)
    elif isinstance(node, list):
        for value in node:
            yield from _inside(value)
