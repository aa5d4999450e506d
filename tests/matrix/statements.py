"""Where a scalar call may stand in statements that write, and in queries over what was just written.

The actions of a MERGE are expressions that DuckDB evaluates for every row of the join, whatever becomes of it.
``FILE`` is a file of the test's.
"""

from __future__ import annotations

from .positions import Position

STATEMENTS = (
    Position("create table as", "CREATE TABLE made AS SELECT id, {v} AS v FROM t; FROM made ORDER BY id"),
    Position("create temp table as", "CREATE TEMP TABLE made AS SELECT id, {v} AS v FROM t; FROM made ORDER BY id"),
    Position("insert", "CREATE TABLE made (id INTEGER, v VARCHAR); INSERT INTO made SELECT id, {v}::VARCHAR FROM t; FROM made ORDER BY id"),
    Position("insert values", "CREATE TABLE made (v VARCHAR); INSERT INTO made VALUES ({v:'p'}::VARCHAR); FROM made", "VALUES ('p')"),
    Position("insert by name", "CREATE TABLE made (id INTEGER, v VARCHAR); INSERT INTO made BY NAME SELECT {v}::VARCHAR AS v, id FROM t RETURNING v, id"),
    Position("insert or ignore", "CREATE TABLE made (id INTEGER PRIMARY KEY, v VARCHAR); INSERT INTO made VALUES (2, 'there'); "
             "INSERT INTO made SELECT id, {v}::VARCHAR FROM t ON CONFLICT DO NOTHING; FROM made ORDER BY id"),
    Position("update set", "UPDATE t SET k = substr({v}::VARCHAR, 1, 9) WHERE n > 0; FROM t ORDER BY id", "SELECT body FROM t WHERE n > 0"),
    Position("update where", "UPDATE t SET n = 99 WHERE {b}; FROM t ORDER BY id"),
    Position("update returning", "CREATE TABLE made AS FROM t; UPDATE made SET k = {v}::VARCHAR WHERE n > 0 RETURNING id, k", "SELECT body FROM t WHERE n > 0"),
    Position("update to a subquery", "UPDATE u SET note = (SELECT {v:t.body}::VARCHAR FROM t WHERE t.id = u.t_id); FROM u ORDER BY id", None),
    Position("update from", "UPDATE u SET note = 'seen' FROM t WHERE t.id = u.t_id AND {b:t.body}; FROM u ORDER BY id", None),
    Position("delete", "DELETE FROM t WHERE {b}; FROM t ORDER BY id"),
    Position("delete returning", "DELETE FROM t WHERE {b} RETURNING id"),
    Position("delete using", "DELETE FROM u USING t WHERE t.id = u.t_id AND {b:t.body}; FROM u ORDER BY id", None),
    Position(
        "merge",
        "MERGE INTO u USING t ON u.t_id = t.id WHEN MATCHED AND {b:t.body} THEN UPDATE SET note = 'seen'; FROM u ORDER BY id",
        None,
    ),
    Position("transaction", "BEGIN; INSERT INTO t VALUES (8, 'new', 1, 'z'); SELECT id, {v} FROM t ORDER BY id", "SELECT body FROM t UNION ALL VALUES ('new')"),
    Position("merge using a query", "MERGE INTO u USING (SELECT id, {v}::VARCHAR AS v FROM t) s ON u.t_id = s.id WHEN MATCHED THEN UPDATE SET note = s.v; FROM u ORDER BY id", None),
    Position("merge values", "MERGE INTO u USING t ON u.t_id = t.id WHEN MATCHED THEN UPDATE SET note = {v:t.body}::VARCHAR "
             "WHEN NOT MATCHED THEN INSERT VALUES (99, t.id, {v:t.k}::VARCHAR); FROM u ORDER BY ALL",
             "SELECT body FROM t UNION ALL SELECT k FROM t"),
    Position("copy to csv", "COPY (SELECT id, {v}::VARCHAR AS v FROM t ORDER BY id) TO 'FILE' (HEADER false); FROM read_csv('FILE')"),
    Position("copy to parquet", "COPY (SELECT id, {v} AS v FROM t ORDER BY id) TO 'FILE' (FORMAT parquet); FROM read_parquet('FILE')"),
    Position("temp table", "CREATE TEMP TABLE made AS FROM t; SELECT id, {v} FROM made ORDER BY id"),
    Position("over a view", "CREATE VIEW w AS SELECT * FROM t WHERE n > 0; SELECT id, {v} FROM w ORDER BY id", "SELECT body FROM t WHERE n > 0"),
    Position("over a macro", "CREATE MACRO m(x) AS upper(x); SELECT id, {v:m(body)} FROM t ORDER BY id", "SELECT upper(body) FROM t"),
)  # fmt: skip
