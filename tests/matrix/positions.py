"""Where a call may stand: SQL with a hole for it, and, in SQL again, the inputs that it must ask about there.

``{v}`` is a call as a value, ``{b}`` one as a condition, both over the expression after the colon (default ``body``).
``asked`` selects one column: the inputs of the rows that reach the call. ``None``: which rows reach it is the planner's
choice (either side of a join, the order of conjuncts).
"""

from __future__ import annotations

from dataclasses import dataclass

SETUP = (
    *(
        f"DROP {kind} IF EXISTS {name}"
        for kind, name in (("VIEW", "w"), ("MACRO", "m"), ("MACRO TABLE", "tm"), ("TABLE", "made"))
    ),
    "CREATE OR REPLACE TABLE t (id INTEGER, body VARCHAR, n INTEGER, k VARCHAR)",
    "INSERT INTO t VALUES (1, 'red kite', 1, 'a'), (2, 'green door', 2, 'a'), (3, NULL, 1, 'b'), (4, 'red kite', NULL, NULL), "
    "(5, '', 3, 'b'), (6, 'a blue, blue day', 0, NULL), (7, 'green door', 1, 'c')",
    "CREATE OR REPLACE TABLE u (id INTEGER, t_id INTEGER, note VARCHAR)",
    "INSERT INTO u VALUES (10, 1, 'paid'), (11, 1, NULL), (12, 5, 'late'), (13, 9, 'paid'), (14, NULL, 'red kite')",
)


@dataclass(frozen=True, slots=True)
class Position:
    """A place for a call.

    Parameters
    ----------
    name : for the test's id. sql : statements, the last of which gives rows. asked : see above.
    plain : the same for plain DuckDB, where it would refuse a function of Python's in that place.
    """

    name: str
    sql: str
    asked: str | None = "SELECT body FROM t"
    plain: str = ""


POSITIONS = (
    Position("select", "SELECT id, {v} FROM t ORDER BY id"),
    Position("select twice", "SELECT id, {v}, {v} AS again FROM t ORDER BY id"),
    Position("select in an expression", "SELECT id, concat('<', {v}::VARCHAR, '>') FROM t ORDER BY id"),
    Position("where", "SELECT id FROM t WHERE {b} ORDER BY id"),
    Position("where and", "SELECT id FROM t WHERE {b} AND n > 0 ORDER BY id", "SELECT body FROM t WHERE n > 0"),
    Position("where or", "SELECT id FROM t WHERE {b} OR n > 1 ORDER BY id", "SELECT body FROM t WHERE (n > 1) IS NOT TRUE"),
    Position("where not", "SELECT id FROM t WHERE NOT ({b}) ORDER BY id"),
    Position("where nested", "SELECT id FROM t WHERE (n = 1 OR {b}) AND NOT (k = 'a' AND {b}) ORDER BY id", None),
    Position("where and select", "SELECT id, {v} FROM t WHERE n < 3 AND {b} ORDER BY id", "SELECT body FROM t WHERE n < 3"),
    Position("inner join", "SELECT t.id, u.id FROM t JOIN u ON t.id = u.t_id AND {b:t.body} ORDER BY ALL", None),
    Position("inner join without keys", "SELECT t.id, u.id FROM t JOIN u ON {b:t.body} AND {b:u.note} ORDER BY ALL", None),
    Position("left join", "SELECT t.id, u.id FROM t LEFT JOIN u ON t.id = u.t_id AND {b:u.note} ORDER BY ALL", None),
    Position("right join", "SELECT t.id, u.id FROM t RIGHT JOIN u ON t.id = u.t_id AND {b:t.body} ORDER BY ALL", None),
    Position("full join", "SELECT t.id, u.id FROM t FULL JOIN u ON t.id = u.t_id AND {b:t.body} ORDER BY ALL", None),
    Position("semi join", "SELECT t.id FROM t SEMI JOIN u ON t.id = u.t_id AND {b:u.note} ORDER BY ALL", None),
    Position("anti join", "SELECT t.id FROM t ANTI JOIN u ON t.id = u.t_id AND {b:u.note} ORDER BY ALL", None),
    Position("lateral", "SELECT t.id, w.v FROM t, LATERAL (SELECT {v:t.body} AS v) w ORDER BY ALL"),
    Position("group by", "SELECT {v} AS g, count(*) AS c FROM t GROUP BY g ORDER BY ALL"),
    Position("group by all", "SELECT {v} AS g, k, count(*) AS c FROM t GROUP BY ALL ORDER BY ALL"),
    Position("rollup", "SELECT {v} AS g, count(*) AS c FROM t GROUP BY ROLLUP (g) ORDER BY ALL"),
    Position(
        "having",
        "SELECT k, max(body) FROM t GROUP BY k HAVING {b:max(body)} ORDER BY ALL",
        "SELECT max(body) FROM t GROUP BY k",
    ),
    Position("of an aggregate", "SELECT k, {v:max(body)} FROM t GROUP BY k ORDER BY k", "SELECT max(body) FROM t GROUP BY k"),
    Position("in an aggregate", "SELECT k, count(DISTINCT {v}) FROM t GROUP BY k ORDER BY k"),
    Position("aggregate filter", "SELECT k, count(*) FILTER (WHERE {b}) FROM t GROUP BY k ORDER BY k"),
    Position("qualify", "SELECT id FROM t QUALIFY row_number() OVER (PARTITION BY {v} ORDER BY id) = 1 ORDER BY id",
             plain="SELECT min(id) AS id FROM (SELECT id, {v} AS v FROM t) GROUP BY v ORDER BY id"),
    Position("window argument", "SELECT id, max({v}) OVER (PARTITION BY k) FROM t ORDER BY id"),
    Position("window order", "SELECT id, row_number() OVER (ORDER BY {v} NULLS LAST, id) FROM t ORDER BY id",
             plain="SELECT id, row_number() OVER (ORDER BY v NULLS LAST, id) FROM (SELECT id, {v} AS v FROM t) ORDER BY id"),
    Position("order by", "SELECT id FROM t ORDER BY {v} NULLS LAST, id"),
    Position("order by limit", "SELECT id FROM t ORDER BY {v} DESC NULLS LAST, id LIMIT 3"),
    Position("distinct", "SELECT DISTINCT {v} AS v FROM t ORDER BY ALL"),
    Position("distinct on", "SELECT DISTINCT ON ({v}) {v} AS v, id FROM t ORDER BY v NULLS LAST, id"),
    Position("case then", "SELECT id, CASE WHEN n = 1 THEN {v} END FROM t ORDER BY id", "SELECT body FROM t WHERE n = 1"),
    Position(
        "case else",
        "SELECT id, CASE WHEN n = 1 THEN NULL ELSE {v} END FROM t ORDER BY id",
        "SELECT body FROM t WHERE (n = 1) IS NOT TRUE",
    ),
    Position("case when", "SELECT id, CASE WHEN {b} THEN 'yes' ELSE 'no' END FROM t ORDER BY id"),
    Position(
        "coalesce", "SELECT id, COALESCE(k, {v}::VARCHAR) FROM t ORDER BY id", "SELECT body FROM t WHERE k IS NULL"
    ),
    Position("if", "SELECT id, if(n > 0, {v}, NULL) FROM t ORDER BY id", "SELECT body FROM t WHERE n > 0"),
    Position("cte", "WITH c AS (SELECT id, {v} AS v FROM t) SELECT * FROM c ORDER BY id"),
    Position("cte materialised", "WITH c AS MATERIALIZED (SELECT id, {v} AS v FROM t) SELECT * FROM c ORDER BY id"),
    Position("cte twice", "WITH c AS (SELECT id, {v} AS v FROM t) SELECT * FROM c a JOIN c b USING (id) ORDER BY id"),
    Position("derived table", "SELECT * FROM (SELECT id, {v} AS v FROM t WHERE n > 0) q ORDER BY id", "SELECT body FROM t WHERE n > 0"),
    Position("scalar subquery", "SELECT (SELECT max({v}) FROM t) AS m"),
    Position("exists", "SELECT EXISTS (SELECT 1 FROM t WHERE {b}) AS e", None),
    Position("in subquery", "SELECT id FROM u WHERE t_id IN (SELECT id FROM t WHERE {b}) ORDER BY id"),
    Position("correlated exists", "SELECT id FROM u WHERE EXISTS (SELECT 1 FROM t WHERE t.id = u.t_id AND {b:t.body}) ORDER BY id", None),
    Position("correlated scalar", "SELECT u.id, (SELECT max({v:t.body}) FROM t WHERE t.id = u.t_id) FROM u ORDER BY u.id", None),
    Position("union all", "SELECT {v}::VARCHAR AS v FROM t UNION ALL SELECT note FROM u ORDER BY ALL"),
    Position(
        "union",
        "SELECT {v}::VARCHAR AS v FROM t UNION SELECT {v}::VARCHAR FROM (SELECT note AS body FROM u) ORDER BY ALL",
        "SELECT body FROM t UNION SELECT note FROM u",
    ),
    Position("except", "SELECT id FROM t EXCEPT SELECT id FROM t WHERE {b} ORDER BY ALL"),
    Position(
        "recursive cte",
        "WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 3) "
        "SELECT i, {v:t.body} FROM r JOIN t ON t.id = r.i ORDER BY i",
        "SELECT body FROM t WHERE id < 4",
    ),
    Position(
        "in a recursive cte",
        "WITH RECURSIVE r AS (SELECT 1 AS i, 'red' AS s UNION ALL SELECT i + 1, substr({v:s}::VARCHAR, 1, 3) FROM r WHERE i < 3) "
        "SELECT * FROM r ORDER BY i",
        None,
    ),
    Position("lambda", "SELECT id, list_transform([body, k], lambda x: {v:x}) FROM t ORDER BY id", "SELECT body FROM t UNION ALL SELECT k FROM t"),
    Position("values", "SELECT {v:c} FROM (VALUES ('p'), (NULL), ('q')) w(c) ORDER BY ALL", "VALUES ('p'), ('q')"),
    Position("in values", "SELECT * FROM (VALUES ({v:'p'}), ({v:'q'})) w(c) ORDER BY ALL", None),
    Position("from first", "FROM t SELECT id, {v} ORDER BY id"),
    Position("from first where", "FROM t WHERE {b} ORDER BY id"),
    Position("pivot", "PIVOT (SELECT n, k, {v}::VARCHAR AS v FROM t WHERE k IS NOT NULL) ON k USING max(v) GROUP BY n ORDER BY ALL", "SELECT body FROM t WHERE k IS NOT NULL"),
    Position("unnest", "SELECT unnest([{v:body}]) FROM t ORDER BY ALL"),
    Position("create table as", "CREATE TABLE made AS SELECT id, {v} AS v FROM t; FROM made ORDER BY id"),
    Position("create temp table as", "CREATE TEMP TABLE made AS SELECT id, {v} AS v FROM t; FROM made ORDER BY id"),
    Position("insert", "CREATE TABLE made (id INTEGER, v VARCHAR); INSERT INTO made SELECT id, {v}::VARCHAR FROM t; FROM made ORDER BY id"),
    Position("insert values", "CREATE TABLE made (v VARCHAR); INSERT INTO made VALUES ({v:'p'}::VARCHAR); FROM made", "VALUES ('p')"),
    Position("update set", "UPDATE t SET k = substr({v}::VARCHAR, 1, 9) WHERE n > 0; FROM t ORDER BY id", "SELECT body FROM t WHERE n > 0"),
    Position("update where", "UPDATE t SET n = 99 WHERE {b}; FROM t ORDER BY id"),
    Position("update from", "UPDATE u SET note = 'seen' FROM t WHERE t.id = u.t_id AND {b:t.body}; FROM u ORDER BY id", None),
    Position("delete", "DELETE FROM t WHERE {b}; FROM t ORDER BY id"),
    Position("delete returning", "DELETE FROM t WHERE {b} RETURNING id", None),
    Position(
        "merge",
        "MERGE INTO u USING t ON u.t_id = t.id WHEN MATCHED AND {b:t.body} THEN UPDATE SET note = 'seen'; FROM u ORDER BY id",
        None,
    ),
    Position("transaction", "BEGIN; INSERT INTO t VALUES (8, 'new', 1, 'z'); SELECT id, {v} FROM t ORDER BY id", "SELECT body FROM t UNION ALL VALUES ('new')"),
)  # fmt: skip

REFUSED = (
    Position("view", "CREATE VIEW w AS SELECT id, {v} AS v FROM t; SELECT * FROM w WHERE id < 4 ORDER BY id", None),
    Position("macro", "CREATE MACRO m(x) AS {v:x}; SELECT id, m(body) FROM t ORDER BY id", None),
    Position(
        "table macro",
        "CREATE MACRO tm(x) AS TABLE SELECT id, {v} AS v FROM t WHERE n > x; SELECT * FROM tm(0) ORDER BY id",
        None,
    ),
)
"""Definitions that would hold a call."""
