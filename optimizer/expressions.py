"""What a fragment's text allows: may it be moved, may it fail? Answered from tokens, and in doubt with the cautious answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import pairwise

import duckdb
from sqlglot import Token
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError

from ..engine.plan.nodes import Expr


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words before "(" that are syntax or type names rather than functions.
_SYNTAX = _words(
    """all and any array as between bit by case cast char coalesce decimal distinct else end escape except exclude exists filter
    from glob group having ifnull ilike in intersect interval is isnull lateral like limit list map not notnull null numeric on
    or order over partition select similar struct then try try_cast union using values varchar when where with within"""
)
# Macros that DuckDB ships (it lists no stability for them) and that are plain functions of their arguments.
_PLAIN_MACROS = _words("ago array_to_string date_add days_in_month fdiv fmod if nullif split_part")
# Functions of text that give a value for every value.
_TOTAL_OVER_TEXT = _words("""concat concat_ws contains ends_with length lower ltrim prefix replace reverse rtrim starts_with strlen suffix trim
    upper""")
_TOTAL_OVER_ANY = _words("coalesce ifnull nullif")
_TOTAL_WORDS = _words(
    """( ) , . || = == <> != < > <= >= and or not null is true false in between like ilike exists select from where distinct
    as asc desc nulls first last"""
)
_WHOLE = _words("TINYINT SMALLINT INTEGER BIGINT UTINYINT USMALLINT UINTEGER FLOAT DOUBLE")


@lru_cache(maxsize=4096)
def tokens(sql: str) -> tuple[Token, ...]:
    """The tokens of a DuckDB fragment; empty when it cannot be read."""
    try:
        return tuple(Dialect.get_or_raise("duckdb").tokenize(sql))
    except SqlglotError:
        return ()


def same_text(sql: str, names: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """A key equal for fragments that differ only in white space, comments, and in columns that ``names`` calls the same.

    >>> same_text("lower( __c1 )", {}) == same_text("lower(__a2)", {"__a2": "__c1"})
    True
    >>> same_text("'__a2'", {"__a2": "__c1"}) == same_text("'__c1'", {})
    False
    """
    return tuple((t.token_type.name, names.get(t.text, t.text) if _is_name(t) else t.text) for t in tokens(sql))


def movable(expr: Expr) -> bool:
    """Whether evaluating it elsewhere, on other rows or another number of times gives each row the same value.

    Pinned are volatile functions, functions that DuckDB does not ship (a user's macro or UDF may hide anything), windows,
    ``?`` parameters (their order in the text counts), and text that cannot be read.

    >>> movable(Expr("lower(__c1) = 'x'", frozenset({"__c1"}), ""))
    True
    >>> movable(Expr("random() < 0.5", frozenset(), ""))
    False
    """
    words = tokens(expr.sql)
    if not words or any(t.token_type.name in ("PLACEHOLDER", "OVER") for t in words):
        return False
    called = set(_functions(words))
    return not called or called <= _stable_functions()


def may_fail(expr: Expr, types: Mapping[str, str]) -> bool:
    """Whether some row could make it raise (casts, arithmetic, most functions). ``types``: DuckDB type per column.

    >>> may_fail(Expr("__c1 = 'gold'", frozenset({"__c1"}), ""), {"__c1": "VARCHAR"})
    False
    >>> may_fail(Expr("__c1::INTEGER > 3", frozenset({"__c1"}), ""), {"__c1": "VARCHAR"})
    True
    """
    words = tokens(expr.sql)
    return not words or not all(_harmless(words, i) for i in range(len(words))) or _mixes(words, expr.uses, types)


def has_subquery(expr: Expr) -> bool:
    """Whether it contains a SELECT; ``TRY`` cannot hold one."""
    return any(t.token_type.name in ("SELECT", "FROM") for t in tokens(expr.sql))


def _is_name(token: Token) -> bool:
    return token.token_type.name in ("VAR", "IDENTIFIER")


def _functions(words: tuple[Token, ...]) -> Iterator[str]:
    for word, after in pairwise(words):
        quoted = word.token_type.name == "IDENTIFIER"
        named = quoted or re.fullmatch(r"[A-Za-z_]\w*", word.text)
        if (
            after.text == "("
            and named
            and (quoted or word.text.lower() not in _SYNTAX)
            and word.token_type.name != "STRING"
        ):
            yield word.text.lower()


@lru_cache(maxsize=1)
def _stable_functions() -> frozenset[str]:
    """Names that DuckDB itself calls free of side effects in every overload, asked once per process (about 50 ms)."""
    query = """SELECT function_name FROM duckdb_functions() WHERE function_type IN ('scalar', 'aggregate')
               GROUP BY ALL HAVING bool_and(stability IS DISTINCT FROM 'VOLATILE')"""
    with duckdb.connect() as connection:
        return frozenset(name.lower() for (name,) in connection.execute(query).fetchall()) | _PLAIN_MACROS


def _harmless(words: tuple[Token, ...], i: int) -> bool:
    word = words[i]
    text, kind = word.text.lower(), word.token_type.name
    if kind in ("STRING", "NUMBER"):
        return True
    if i + 1 < len(words) and words[i + 1].text == "(" and (_is_name(word) or text not in _TOTAL_WORDS):
        return text in _TOTAL_OVER_TEXT | _TOTAL_OVER_ANY
    if kind == "SELECT":  # a scalar subquery fails on a second row; IN and EXISTS do not
        return i > 1 and words[i - 1].text == "(" and words[i - 2].text.lower() in ("in", "exists")
    return _is_name(word) or text in _TOTAL_WORDS


def _mixes(words: tuple[Token, ...], uses: frozenset[str], types: Mapping[str, str]) -> bool:
    """Whether a comparison may cast a column: columns of different families, or a fraction beside a very wide number."""
    return any(_casts(part, uses, types) for part in _conditions(words))


def _conditions(words: tuple[Token, ...]) -> list[list[tuple[Token, str]]]:
    """Parts between AND and OR, each token with the function it is the first argument of ("" for none)."""
    around = [w.text.lower() if p.text == "(" else "" for w, p in pairwise(words)]
    pairs = list(zip(words, ["", "", *around], strict=False))
    if any(w.token_type.name == "BETWEEN" for w in words):  # its AND joins one comparison's two bounds
        return [pairs]
    parts: list[list[tuple[Token, str]]] = [[]]
    for pair in pairs:
        if pair[0].token_type.name in ("AND", "OR"):
            parts.append([])
        else:
            parts[-1].append(pair)
    return parts


def _casts(part: list[tuple[Token, str]], uses: frozenset[str], types: Mapping[str, str]) -> bool:
    bare = {word.text for word, function in part if word.text in uses and function not in _TOTAL_OVER_TEXT}
    families = {_family(types.get(name, "?")) for name in bare}
    fraction = any(word.token_type.name == "NUMBER" and not word.text.isdigit() for word, _ in part)
    return len(families) > 1 or (fraction and bool(families - {"number"}))


def _family(type_text: str) -> str:
    decimal = re.fullmatch(r"DECIMAL\((\d+),\s*\d+\)", type_text)
    if type_text in _WHOLE or (decimal and int(decimal[1]) <= 18):
        return "number"
    return type_text
