"""Where a scalar call may stand: SQL with holes for it (see :mod:`.forms`), and, in SQL again, what it must ask there.

``asked`` selects the inputs of the rows that reach the call: one column, or more where all of them are inputs of one call.
``None``: which rows reach it is the planner's choice (either side of a join, the order of conjuncts).
"""

from __future__ import annotations

from dataclasses import dataclass


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

    @property
    def writes(self) -> bool:
        """Whether tables are different afterwards."""
        return ";" in self.sql or self.sql.startswith("DELETE")


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
    Position("left join without keys", "SELECT t.id, u.id FROM t LEFT JOIN u ON {b:t.body} AND {b:u.note} ORDER BY ALL", None),
    Position("right join without keys", "SELECT t.id, u.id FROM t RIGHT JOIN u ON {b:t.body} OR {b:u.note} ORDER BY ALL", None),
    Position("full join without keys", "SELECT t.id, u.id FROM t FULL JOIN u ON {b:t.body} ORDER BY ALL",
             plain="SELECT t.id, u.id FROM (SELECT *, {b:body} AS b FROM t) t FULL JOIN u ON t.b ORDER BY ALL"),
    Position("semi join", "SELECT t.id FROM t SEMI JOIN u ON t.id = u.t_id AND {b:u.note} ORDER BY ALL", None),
    Position("anti join", "SELECT t.id FROM t ANTI JOIN u ON t.id = u.t_id AND {b:u.note} ORDER BY ALL", None),
    Position("semi join without keys", "SELECT t.id FROM t SEMI JOIN u ON {b:t.body} ORDER BY ALL"),
    Position("anti join without keys", "SELECT t.id FROM t ANTI JOIN u ON {b:t.body} AND {b:u.note} ORDER BY ALL", None),
    Position("asof join", "SELECT t.id, u.id FROM t ASOF JOIN u ON t.id >= u.t_id WHERE {b:t.body} ORDER BY ALL", "SELECT body FROM t"),
    Position("left lateral", "SELECT t.id, w.v FROM t LEFT JOIN LATERAL (SELECT {v:t.body} AS v WHERE t.n > 0) w ON true ORDER BY ALL", "SELECT body FROM t WHERE n > 0"),
    Position("lateral", "SELECT t.id, w.v FROM t, LATERAL (SELECT {v:t.body} AS v) w ORDER BY ALL"),
    Position("group by", "SELECT {v} AS g, count(*) AS c FROM t GROUP BY g ORDER BY ALL"),
    Position("group by all", "SELECT {v} AS g, k, count(*) AS c FROM t GROUP BY ALL ORDER BY ALL"),
    Position("rollup", "SELECT {v} AS g, count(*) AS c FROM t GROUP BY ROLLUP (g) ORDER BY ALL"),
    Position("grouping sets", "SELECT {v} AS g, k, count(*) AS c FROM t GROUP BY GROUPING SETS ((g), (k), ()) ORDER BY ALL"),
    Position(
        "having",
        "SELECT k, max(body) FROM t GROUP BY k HAVING {b:max(body)} ORDER BY ALL",
        "SELECT max(body) FROM t GROUP BY k",
    ),
    Position("of an aggregate", "SELECT k, {v:max(body)} FROM t GROUP BY k ORDER BY k", "SELECT max(body) FROM t GROUP BY k"),
    Position("in an aggregate", "SELECT k, count(DISTINCT {v}) FROM t GROUP BY k ORDER BY k"),
    Position("aggregate filter", "SELECT k, count(*) FILTER (WHERE {b}) FROM t GROUP BY k ORDER BY k"),
    Position("aggregate order", "SELECT k, list(id ORDER BY {v} NULLS LAST, id) FROM t GROUP BY k ORDER BY k"),
    Position("qualify", "SELECT id FROM t QUALIFY row_number() OVER (PARTITION BY {v} ORDER BY id) = 1 ORDER BY id",
             plain="SELECT min(id) AS id FROM (SELECT id, {v} AS v FROM t) GROUP BY v ORDER BY id"),
    Position("qualify condition", "SELECT id FROM t QUALIFY {b} AND row_number() OVER (ORDER BY id) > 2 ORDER BY id", None,
             "SELECT id FROM (SELECT id, body, row_number() OVER (ORDER BY id) AS r FROM t) WHERE {b} AND r > 2 ORDER BY id"),
    Position("window argument", "SELECT id, max({v}) OVER (PARTITION BY k) FROM t ORDER BY id"),
    Position("window partition", "SELECT id, count(*) OVER (PARTITION BY {v}) FROM t ORDER BY id",
             plain="SELECT id, count(*) OVER (PARTITION BY v) FROM (SELECT id, {v} AS v FROM t) ORDER BY id"),
    Position("window filter", "SELECT id, sum(n) FILTER (WHERE {b}) OVER (PARTITION BY k) FROM t ORDER BY id"),
    Position("named window", "SELECT id, lag({v}) OVER w FROM t WINDOW w AS (ORDER BY id) ORDER BY id"),
    Position("of a window", "SELECT id, {v:lag(body) OVER (ORDER BY id)} FROM t ORDER BY id", "SELECT lag(body) OVER (ORDER BY id) FROM t"),
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
    Position("case nested", "SELECT id, CASE WHEN n > 0 THEN CASE k WHEN 'a' THEN {v} ELSE NULL END END FROM t ORDER BY id", "SELECT body FROM t WHERE n > 0 AND k = 'a'"),
    Position(
        "coalesce", "SELECT id, COALESCE(k, {v}::VARCHAR) FROM t ORDER BY id", "SELECT body FROM t WHERE k IS NULL"
    ),
    Position("if", "SELECT id, if(n > 0, {v}, NULL) FROM t ORDER BY id", "SELECT body FROM t WHERE n > 0"),
    Position("cte", "WITH c AS (SELECT id, {v} AS v FROM t) SELECT * FROM c ORDER BY id"),
    Position("cte materialised", "WITH c AS MATERIALIZED (SELECT id, {v} AS v FROM t) SELECT * FROM c ORDER BY id"),
    Position("cte twice", "WITH c AS (SELECT id, {v} AS v FROM t) SELECT * FROM c a JOIN c b USING (id) ORDER BY id"),
    Position("cte not materialised", "WITH c AS NOT MATERIALIZED (SELECT id, {v} AS v FROM t) SELECT * FROM c WHERE id IN (SELECT id FROM c) ORDER BY id"),
    Position("cte in a cte", "WITH a AS (SELECT id, {v} AS v FROM t), b AS (SELECT id, v FROM a) SELECT * FROM a JOIN b USING (id) ORDER BY id"),
    Position("derived table", "SELECT * FROM (SELECT id, {v} AS v FROM t WHERE n > 0) q ORDER BY id", "SELECT body FROM t WHERE n > 0"),
    Position("scalar subquery", "SELECT (SELECT max({v}) FROM t) AS m"),
    Position("exists", "SELECT EXISTS (SELECT 1 FROM t WHERE {b}) AS e", None),
    Position("in subquery", "SELECT id FROM u WHERE t_id IN (SELECT id FROM t WHERE {b}) ORDER BY id"),
    Position("not in subquery", "SELECT id FROM u WHERE t_id NOT IN (SELECT id FROM t WHERE {b}) ORDER BY id"),
    Position("operand of in", "SELECT id FROM t WHERE {v}::VARCHAR IN (SELECT note FROM u) ORDER BY id"),
    Position("any", "SELECT id FROM u WHERE t_id = ANY (SELECT id FROM t WHERE {b}) ORDER BY id"),
    Position("correlated not exists", "SELECT id FROM u WHERE NOT EXISTS (SELECT 1 FROM t WHERE t.id = u.t_id AND {b:t.body}) ORDER BY id", None),
    Position("correlated exists", "SELECT id FROM u WHERE EXISTS (SELECT 1 FROM t WHERE t.id = u.t_id AND {b:t.body}) ORDER BY id", None),
    Position("correlated scalar", "SELECT u.id, (SELECT max({v:t.body}) FROM t WHERE t.id = u.t_id) FROM u ORDER BY u.id", None),
    Position("union all", "SELECT {v}::VARCHAR AS v FROM t UNION ALL SELECT note FROM u ORDER BY ALL"),
    Position(
        "union",
        "SELECT {v}::VARCHAR AS v FROM t UNION SELECT {v}::VARCHAR FROM (SELECT note AS body FROM u) ORDER BY ALL",
        "SELECT body FROM t UNION SELECT note FROM u",
    ),
    Position("except", "SELECT id FROM t EXCEPT SELECT id FROM t WHERE {b} ORDER BY ALL"),
    Position("intersect", "SELECT id FROM t INTERSECT SELECT id FROM t WHERE {b} ORDER BY ALL"),
    Position("union by name", "SELECT {v}::VARCHAR AS v FROM t UNION ALL BY NAME SELECT id, note AS v FROM u ORDER BY ALL"),
    Position(
        "recursive cte",
        "WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 3) "
        "SELECT i, {v:t.body} FROM r JOIN t ON t.id = r.i ORDER BY i",
        "SELECT body FROM t WHERE id < 4",
    ),
    Position(
        "in a recursive cte",
        "WITH RECURSIVE r AS (SELECT 1 AS i, 'blue' AS s UNION ALL SELECT i + 1, substr({v:s}::VARCHAR, 1, 3) FROM r WHERE i < 3) "
        "SELECT * FROM r ORDER BY i",
        "WITH RECURSIVE r AS (SELECT 1 AS i, 'blue' AS s UNION ALL SELECT i + 1, substr({v:s}::VARCHAR, 1, 3) FROM r WHERE i < 2) "
        "SELECT s FROM r",
    ),
    Position("lambda", "SELECT id, list_transform([body, k], lambda x: {v:x}) FROM t ORDER BY id", "SELECT body FROM t UNION ALL SELECT k FROM t"),
    Position("values", "SELECT {v:c} FROM (VALUES ('p'), (NULL), ('q')) w(c) ORDER BY ALL", "VALUES ('p'), ('q')"),
    Position("in values", "SELECT * FROM (VALUES ({v:'p'}), ({v:'q'})) w(c) ORDER BY ALL", "VALUES ('p'), ('q')"),
    Position("values of calls", "VALUES ({v:'p'}), ({v:NULL::VARCHAR}), ({v:'q'})", "VALUES ('p'), ('q')"),
    Position("from first", "FROM t SELECT id, {v} ORDER BY id"),
    Position("from first where", "FROM t WHERE {b} ORDER BY id"),
    Position("star replaced", "SELECT * REPLACE ({v} AS body) FROM t ORDER BY id"),
    Position("struct and list", "SELECT id, {'a': {v}}, [{v}] FROM t ORDER BY id"),
    Position("comprehension", "SELECT id, [{v:x} for x in [body, k] if x > 'b'] FROM t ORDER BY id", "SELECT body FROM t UNION ALL SELECT k FROM t"),
    Position("unpivot", "UNPIVOT (SELECT id, {v}::VARCHAR AS a, k FROM t) ON a, k INTO NAME x VALUE y ORDER BY ALL"),
    Position("pivot using", "PIVOT (FROM t WHERE k IS NOT NULL) ON k USING max({v}::VARCHAR) GROUP BY n ORDER BY ALL", "SELECT body FROM t WHERE k IS NOT NULL"),
    Position("pivot", "PIVOT (SELECT n, k, {v}::VARCHAR AS v FROM t WHERE k IS NOT NULL) ON k USING max(v) GROUP BY n ORDER BY ALL", "SELECT body FROM t WHERE k IS NOT NULL"),
    Position("unnest", "SELECT unnest([{v:body}]) FROM t ORDER BY ALL"),
)  # fmt: skip

DEFINITIONS = (
    Position("view", "CREATE VIEW w AS SELECT id, {v} AS v FROM t; SELECT * FROM w ORDER BY id"),
    Position("view twice", "CREATE VIEW w AS SELECT id, {v} AS v FROM t; FROM w a JOIN w b USING (id) ORDER BY ALL"),
    Position("macro", "CREATE MACRO m(x) AS {v:x}; SELECT id, m(body) FROM t WHERE n > 0 ORDER BY id", "SELECT body FROM t WHERE n > 0"),
    Position(
        "table macro",
        "CREATE MACRO tm(x) AS TABLE SELECT id, {v} AS v FROM t WHERE n > x; FROM tm(0) ORDER BY id",
        "SELECT body FROM t WHERE n > 0",
    ),
)  # fmt: skip
"""Definitions that hold a call."""
