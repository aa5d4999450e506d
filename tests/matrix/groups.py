"""Where an aggregate call may stand: SQL with holes for it (see :mod:`.forms`), and, in SQL again, the lists that it must ask about.

``asked`` selects the values of each group that reaches the call. Plain DuckDB's macros take no DISTINCT, ORDER BY or FILTER:
there ``plain`` makes the lists, and asks about what is in them.
"""

from __future__ import annotations

from .positions import Position

ALL = "SELECT list(body) FROM t"
BY_K = "SELECT list(body) FROM t GROUP BY k"
OF_LIST = "(SELECT {v:x} FROM (SELECT unnest(l) AS x))"


def _lists(select: str, lists: str) -> str:
    """``select`` over the lists, with ``CALL`` in it as the call."""
    return f"SELECT {select.replace('CALL', OF_LIST)} FROM ({lists}) ORDER BY ALL"


def _modified(name: str, call: str, collected: str) -> Position:
    """A call with DISTINCT, ORDER BY or FILTER, per group."""
    lists = f"SELECT k, {collected} AS l FROM t GROUP BY k"
    return Position(
        name, f"SELECT k, {call} FROM t GROUP BY k ORDER BY ALL", f"SELECT l FROM ({lists})", _lists("k, CALL", lists)
    )


def _window(name: str, call: str, collected: str) -> Position:
    """A call as a window function."""
    lists = f"SELECT id, {collected} AS l FROM t"
    return Position(
        name, f"SELECT id, {call} FROM t ORDER BY id", f"SELECT l FROM ({lists})", _lists("id, CALL", lists)
    )


GROUPS = (
    Position("whole table", "SELECT {v} FROM t", ALL),
    Position("group by", "SELECT k, {v} FROM t GROUP BY k ORDER BY ALL", BY_K),
    Position("group by all", "SELECT k, {v} AS a, count(*), max(n) FROM t GROUP BY ALL ORDER BY k", BY_K),
    Position("from first", "FROM t SELECT k, {v} GROUP BY k ORDER BY k", BY_K),
    Position("of an expression", "SELECT k, {v:upper(body)} FROM t GROUP BY k ORDER BY k", "SELECT list(upper(body)) FROM t GROUP BY k"),
    Position("of numbers", "SELECT k, {v:n} FROM t GROUP BY k ORDER BY k", "SELECT list(n::VARCHAR) FROM t GROUP BY k"),
    Position("of a grouping expression", "SELECT body, {v} FROM t GROUP BY body ORDER BY body", "SELECT list(body) FROM t GROUP BY body"),
    Position("beside others", "SELECT {v}, {v:k}, count(*) FROM t", f"{ALL} UNION ALL SELECT list(k) FROM t"),
    _modified("filter", "{v} FILTER (WHERE n > 0)", "list(body) FILTER (WHERE n > 0)"),
    _modified("distinct", "{v:DISTINCT body}", "list_sort(list(DISTINCT body))"),
    _modified("order by", "{v:body|n DESC NULLS LAST, id}", "list(body ORDER BY n DESC NULLS LAST, id)"),
    _modified("all modifiers", "{v:DISTINCT body|body DESC} FILTER (WHERE n IS NOT NULL)",
              "list_reverse_sort(list(DISTINCT body) FILTER (WHERE n IS NOT NULL))"),
    Position("having", "SELECT k FROM t GROUP BY k HAVING {b} ORDER BY k", BY_K),
    Position("having an alias", "SELECT k, {v} AS a FROM t GROUP BY k HAVING a IS NOT NULL ORDER BY k", BY_K,
             "SELECT k, a FROM (SELECT k, {v} AS a FROM t GROUP BY k) WHERE a IS NOT NULL ORDER BY k"),
    Position("order of groups", "SELECT k FROM t GROUP BY k ORDER BY {v} NULLS LAST, k", BY_K),
    Position("in an expression", "SELECT k, concat('<', {v}, '>') FROM t GROUP BY k ORDER BY k", BY_K),
    Position("case", "SELECT k, CASE WHEN count(*) > 1 THEN {v} END FROM t GROUP BY k ORDER BY k", f"{BY_K} HAVING count(*) > 1"),
    Position("coalesce", "SELECT COALESCE(k, {v}::VARCHAR) AS c FROM t GROUP BY k ORDER BY c", "SELECT list(body) FROM t WHERE k IS NULL"),
    Position("qualify", "SELECT k, {v} AS a FROM t GROUP BY k QUALIFY row_number() OVER (ORDER BY a NULLS LAST, k) <= 2 ORDER BY k", BY_K,
             "SELECT k, a FROM (SELECT k, {v} AS a FROM t GROUP BY k) QUALIFY row_number() OVER (ORDER BY a NULLS LAST, k) <= 2 ORDER BY k"),
    _window("as a window", "{v} OVER (PARTITION BY k)", "list(body) OVER (PARTITION BY k)"),
    _window("as a window, framed", "{v} OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)",
            "list(body) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)"),
    _window("as a window, filtered", "{v} FILTER (WHERE n > 0) OVER (ORDER BY id)", "list(body) FILTER (WHERE n > 0) OVER (ORDER BY id)"),
    Position("as a named window", "SELECT id, {v} OVER w AS a FROM t WINDOW w AS (ORDER BY id) ORDER BY id",
             "SELECT list(body) OVER (ORDER BY id) FROM t", _lists("id, CALL", "SELECT id, list(body) OVER (ORDER BY id) AS l FROM t")),
    Position("in a window", "SELECT k, max({v}) OVER (PARTITION BY k > 'a') FROM t GROUP BY k ORDER BY k", BY_K),
    Position("distinct rows", "SELECT DISTINCT {v} AS a FROM t GROUP BY k ORDER BY a", BY_K),
    Position("rollup", "SELECT k, n, {v:body|id} FROM t GROUP BY ROLLUP (k, n) ORDER BY ALL",
             "SELECT list(body ORDER BY id) FROM t GROUP BY ROLLUP (k, n)", _lists("k, n, CALL", "SELECT k, n, list(body ORDER BY id) AS l FROM t GROUP BY ROLLUP (k, n)")),
    Position("cube", "SELECT k, n, {v:body|id} FROM t GROUP BY CUBE (k, n) ORDER BY ALL",
             "SELECT list(body ORDER BY id) FROM t GROUP BY CUBE (k, n)", _lists("k, n, CALL", "SELECT k, n, list(body ORDER BY id) AS l FROM t GROUP BY CUBE (k, n)")),
    Position("grouping sets", "SELECT k, n, {v:body|id} FROM t GROUP BY GROUPING SETS ((k), (n), ()) ORDER BY ALL",
             "SELECT list(body ORDER BY id) FROM t GROUP BY GROUPING SETS ((k), (n), ())",
             _lists("k, n, CALL", "SELECT k, n, list(body ORDER BY id) AS l FROM t GROUP BY GROUPING SETS ((k), (n), ())")),
    Position("no rows", "SELECT {v} FROM t WHERE false", None),
    Position("no groups", "SELECT k, {v} FROM t WHERE false GROUP BY k", None),
    Position("only nulls", "SELECT n, {v} FROM t WHERE body IS NULL GROUP BY n", None),
    Position("derived table", "SELECT * FROM (SELECT k, {v} AS a FROM t GROUP BY k) q ORDER BY k", BY_K),
    Position("cte twice", "WITH c AS (SELECT k, {v} AS a FROM t GROUP BY k) SELECT * FROM c x JOIN c y USING (k) ORDER BY k", BY_K),
    Position("scalar subquery", "SELECT id, (SELECT {v} FROM t) FROM u ORDER BY id", ALL),
    Position("correlated subquery", "SELECT u.id, (SELECT {v:t.body} FROM t WHERE t.id = u.t_id) FROM u ORDER BY u.id",
             "SELECT list(t.body) FROM t JOIN u ON t.id = u.t_id GROUP BY u.id"),
    Position("lateral", "SELECT u.id, a FROM u, LATERAL (SELECT {v:t.body} AS a FROM t WHERE t.id = u.t_id) ORDER BY u.id",
             "SELECT list(t.body) FROM t JOIN u ON t.id = u.t_id GROUP BY u.id"),
    Position("exists", "SELECT id FROM u WHERE EXISTS (SELECT k FROM t GROUP BY k HAVING {b}) ORDER BY id", BY_K),
    Position("in subquery", "SELECT id FROM t WHERE k IN (SELECT k FROM t GROUP BY k HAVING {b}) ORDER BY id", BY_K),
    Position("over a join", "SELECT t.k, {v:u.note} FROM t JOIN u ON t.id = u.t_id GROUP BY t.k ORDER BY t.k",
             "SELECT list(u.note) FROM t JOIN u ON t.id = u.t_id GROUP BY t.k"),
    Position("union", "SELECT {v} AS a FROM t UNION ALL SELECT {v:note} FROM u ORDER BY ALL", f"{ALL} UNION ALL SELECT list(note) FROM u"),
    Position("pivot", "PIVOT (SELECT k, n, {v} AS a FROM t WHERE k IS NOT NULL GROUP BY k, n) ON k USING max(a) GROUP BY n ORDER BY n",
             "SELECT list(body) FROM t WHERE k IS NOT NULL GROUP BY k, n"),
    Position("values", "SELECT {v:c} FROM (VALUES ('p'), (NULL), ('q')) w(c)", "SELECT ['p', 'q']"),
    Position("create table as", "CREATE TABLE made AS SELECT k, {v} AS a FROM t GROUP BY k; FROM made ORDER BY k", BY_K),
    Position("insert", "CREATE TABLE made (k VARCHAR, a VARCHAR); INSERT INTO made SELECT k, {v} FROM t GROUP BY k; FROM made ORDER BY k", BY_K),
    Position("update", "UPDATE u SET note = (SELECT {v} FROM t); FROM u ORDER BY id", ALL),
    Position("delete", "DELETE FROM t WHERE k IN (SELECT k FROM t GROUP BY k HAVING {b}); FROM t ORDER BY id", BY_K),
    Position("copy", "COPY (SELECT k, {v} AS a FROM t GROUP BY k ORDER BY k) TO 'FILE' (FORMAT parquet); FROM read_parquet('FILE')", BY_K),
    Position("temp table in a transaction", "BEGIN; CREATE TEMP TABLE made AS FROM t WHERE n > 0; SELECT k, {v} FROM made GROUP BY k ORDER BY k",
             "SELECT list(body) FROM t WHERE n > 0 GROUP BY k"),
)  # fmt: skip
