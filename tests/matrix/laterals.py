"""Where a call that makes many rows of one may stand in FROM: SQL with holes for it (see :mod:`.forms`)."""

from __future__ import annotations

from .positions import Position

LATERALS = (
    Position("rows: comma", "SELECT t.id, s.* FROM t, {v:t.body} s ORDER BY ALL"),
    Position("rows: lateral", "SELECT t.id, ordinal FROM t, LATERAL {v:t.body} AS s ORDER BY ALL"),
    Position("rows: cross join", "SELECT t.id, s.ordinal FROM t CROSS JOIN LATERAL {v:t.body} AS s ORDER BY ALL"),
    Position("rows: left join", "SELECT t.id, s.* FROM t LEFT JOIN LATERAL {v:t.body} AS s ON true ORDER BY ALL"),
    Position("rows: renamed columns", "SELECT id, first FROM t, {v:t.body} AS s(first) ORDER BY ALL"),
    Position("rows: unqualified", "SELECT id, s.ordinal FROM t, {v} s ORDER BY ALL"),
    Position("rows: under a condition", "SELECT t.id, s.ordinal FROM t, {v:t.body} s WHERE t.n > 0 AND s.ordinal < 3 ORDER BY ALL",
             "SELECT body FROM t WHERE n > 0"),
    Position("rows: over a join", "SELECT u.id, s.ordinal FROM t JOIN u ON t.id = u.t_id, {v:t.body} s ORDER BY ALL",
             "SELECT body FROM t SEMI JOIN u ON t.id = u.t_id"),
    Position("rows: group by", "SELECT t.k, count(*), max(s.ordinal) FROM t, {v:t.body} s GROUP BY t.k ORDER BY ALL"),
    Position("rows: cte twice", "WITH c AS (SELECT t.id, s.ordinal FROM t, {v:t.body} s) SELECT * FROM c a JOIN c b USING (id) ORDER BY ALL"),
    Position("rows: derived table", "SELECT max(ordinal) FROM (SELECT s.ordinal FROM t, {v:t.body} s) q"),
    Position("rows: union", "SELECT t.id, s.ordinal FROM t, {v:t.body} s UNION ALL SELECT id, 0 FROM u ORDER BY ALL"),
    Position("rows: exists", "SELECT id FROM u WHERE EXISTS (SELECT 1 FROM t, {v:t.body} s WHERE s.ordinal > u.id - 10) ORDER BY id"),
    Position("rows: of values", "SELECT c, s.ordinal FROM (VALUES ('p q'), (NULL), ('r')) w(c), {v:w.c} s ORDER BY ALL", "VALUES ('p q'), ('r')"),
    Position("rows: create table as", "CREATE TABLE made AS SELECT t.id, s.* FROM t, {v:t.body} s; FROM made ORDER BY ALL"),
    Position("rows: insert", "CREATE TABLE made (id INTEGER, o BIGINT); INSERT INTO made SELECT t.id, s.ordinal FROM t, {v:t.body} s; FROM made ORDER BY ALL"),
    Position("rows: transaction", "BEGIN; DELETE FROM t WHERE n = 1; SELECT t.id, s.ordinal FROM t, {v:t.body} s ORDER BY ALL",
             "SELECT body FROM t WHERE n IS DISTINCT FROM 1"),
)  # fmt: skip
