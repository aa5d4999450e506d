"""A semantic call put into a query's own SELECT lists, and taken out of its result again.

The lists are found with DuckDB's tokenizer, and not with the code under test: a mistake there must not hide itself here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import duckdb

CALL = "LLM_COMPLETE('x', 'k')"
NAME = "__c"

_OPEN, _CLOSE = "([{", ")]}"
_SET_OPERATIONS = frozenset({"UNION", "INTERSECT", "EXCEPT"})
_AFTER_LIST = frozenset(
    {"FROM", "WHERE", "GROUP", "HAVING", "WINDOW", "QUALIFY", "ORDER", "LIMIT", "OFFSET", "FETCH", "USING"}
)
_STARTS = frozenset({"SELECT", "FROM", "VALUES", "TABLE", "PIVOT", "UNPIVOT", "DESCRIBE", "SUMMARIZE", "SHOW"})
_QUERIES = frozenset({"SELECT", "FROM", "WITH", "VALUES", "TABLE", "PIVOT", "UNPIVOT", "("})


@dataclass(frozen=True, slots=True)
class _Token:
    word: str
    start: int
    end: int
    depth: int


@dataclass(frozen=True, slots=True)
class Forced:
    """A query with a call, the same without the call's column, and where the call stands (``list`` or ``around``)."""

    sql: str
    projected: str
    form: str


def forced(sql: str) -> list[Forced]:
    """Ways to put a call into the query, the best first; none for a statement that is no query."""
    tokens = _tokens(sql)
    if not tokens or tokens[0].word not in _QUERIES:
        return []
    text = sql[: tokens[-1].end]
    found = []
    ends = _list_ends(tokens)
    if ends:
        found.append(_projected(_inserted(text, ends), "list"))
    found.append(_projected(f"SELECT *, {CALL} AS {NAME} FROM ({text}\n)", "around"))
    return found


def order_keys(sql: str, names: tuple[str, ...]) -> list[int] | None:
    """The result columns that the query orders by; ``None`` where a term is none of them. Not ordered: no keys."""
    tokens = _unwrapped(_tokens(sql))
    top = [i for i, t in enumerate(tokens) if t.depth == tokens[0].depth]
    begin = next((i for i in reversed(top) if tokens[i].word == "ORDER" and tokens[i + 1].word == "BY"), None)
    if begin is None:
        return []
    keys: list[int] = []
    term: list[str] = []
    for token in (*tokens[begin + 2 :], _Token(",", 0, 0, tokens[0].depth)):
        ended = token.depth == tokens[0].depth and token.word in (",", "LIMIT", "OFFSET")
        if ended and term:
            found = _key(term, names)
            if found is None:
                return None
            keys, term = keys + found, []
        if token.word in ("LIMIT", "OFFSET"):
            break
        if not ended and token.word not in ("ASC", "DESC", "NULLS", "FIRST", "LAST"):
            term.append(token.word)
    return keys


def _key(term: list[str], names: tuple[str, ...]) -> list[int] | None:
    word = term[-1]
    if term == ["ALL"]:
        return list(range(len(names)))
    if len(term) == 1 and word.isdigit():
        return [int(word) - 1]
    lower = [n.lower() for n in names]
    name = word.strip('"').lower()
    plain = len(term) == 1 or (len(term) == 3 and term[1] == ".")
    return [lower.index(name)] if plain and name in lower else None


def _projected(sql: str, form: str) -> Forced:
    return Forced(sql, f"SELECT * EXCLUDE ({NAME}) FROM ({sql}\n)", form)


def _inserted(text: str, ends: list[tuple[int, str]]) -> str:
    for at, comma in sorted(ends, reverse=True):
        text = f"{text[:at]}{comma} {CALL} AS {NAME}{text[at:]}"
    return text


def _tokens(sql: str) -> list[_Token]:
    """Tokens without comments and semicolons at the end; an opening bracket has the depth that it opens."""
    encoded = sql.encode()  # DuckDB counts bytes
    raw = [(len(encoded[:at].decode()), kind) for at, kind in duckdb.tokenize(sql)]
    found: list[_Token] = []
    depth = 0
    for (start, kind), (following, _) in pairwise([*raw, (len(sql), None)]):
        if kind == duckdb.token_type.comment:
            continue
        text = sql[start:following].rstrip()
        literal = kind == duckdb.token_type.string_const or text[:1] == '"'
        depth -= text in _CLOSE and not literal
        found.append(_Token(text if literal else text.upper(), start, start + len(text), depth))
        depth += text in _OPEN and not literal
    while found and found[-1].word == ";":
        found.pop()
    return found


def _list_ends(tokens: list[_Token]) -> list[tuple[int, str]]:
    """Where each SELECT list of the query ends, and the comma it needs; none if a branch has no list."""
    tokens = _unwrapped(tokens)
    if not tokens:
        return []
    base = tokens[0].depth
    if tokens[0].word == "WITH":
        tokens = tokens[_body(tokens, base) :]
    cuts = [i for i, t in enumerate(tokens) if t.depth == base and t.word in _SET_OPERATIONS]
    if not cuts:
        end = _block_list_end(tokens, base)
        return [end] if end else []
    ends: list[tuple[int, str]] = []
    for before, after in pairwise([-1, *cuts, len(tokens)]):
        branch = tokens[before + 1 : after]
        while branch and branch[0].word in ("ALL", "DISTINCT", "BY", "NAME"):
            branch = branch[1:]
        if after == len(tokens) and branch and branch[0].word == "(":
            branch = branch[: _closing(branch) + 1]  # what follows belongs to the whole
        found = _list_ends(branch)
        if not found:
            return []
        ends += found
    return ends


def _unwrapped(tokens: list[_Token]) -> list[_Token]:
    while tokens and tokens[0].word == "(" and _closing(tokens) == len(tokens) - 1:
        tokens = tokens[1:-1]
    return tokens


def _closing(tokens: list[_Token]) -> int:
    """The partner of the bracket that comes first."""
    depth = tokens[0].depth
    return next(i for i, t in enumerate(tokens) if i and t.word == ")" and t.depth == depth)


def _body(tokens: list[_Token], base: int) -> int:
    """Where the query after the WITH entries begins."""
    for index, token in enumerate(tokens):
        after_entry = tokens[index - 1].word == ")" if index else False
        if token.depth == base and after_entry and token.word in (*_STARTS, "("):
            return index
    return len(tokens)


def _block_list_end(tokens: list[_Token], base: int) -> tuple[int, str] | None:
    top = [t for t in tokens if t.depth == base]
    begin = next((i for i, t in enumerate(top) if t.word == "SELECT"), None)
    if begin is None or top[0].word not in ("SELECT", "FROM"):
        return None
    last = top[begin]
    inside = tokens[tokens.index(last) + 1 :]
    for before, token in zip([last, *inside], inside, strict=False):
        if token.depth == base and token.word in _AFTER_LIST and before.word != "DISTINCT":
            break
        last = token
    return (last.end, "" if last.word == "," else ",") if last.word != "SELECT" else None
