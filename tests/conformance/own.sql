-- Our own queries over DuckDB's syntax. A line "-- case: name" begins a database of its own; statements end with ";" at a line's end.

-- case: from_first
CREATE TABLE t AS SELECT i, i % 3 AS k, 'n' || i AS name, i / 4.0 AS f FROM range(12) r(i);
FROM t;
FROM t SELECT i, name WHERE k = 1 ORDER BY i DESC LIMIT 3;
FROM t SELECT k, count(*) WHERE i > 8 GROUP BY k ORDER BY ALL;
FROM (FROM t SELECT k, sum(f) AS s GROUP BY ALL) SELECT max(s);
FROM range(4) a(x) SELECT x, x * x AS y;
TABLE t ORDER BY i LIMIT 2;
VALUES (1, 'a'), (2, NULL), (3, 'c');
SELECT * FROM (VALUES (1, 'a'), (2, NULL)) AS v(n, s) ORDER BY n;
SELECT 1 AS one, 'it''s' AS "Two Words", NULL AS nothing;
SELECT 42;
SELECT i, /* , */ name -- , more
FROM t WHERE i < 2 ORDER BY i;
SELECT i, name, FROM t WHERE i < 3 ORDER BY 1 DESC;
SELECT a: i, b: i + 1 FROM t ORDER BY a LIMIT 2;

-- case: stars
CREATE TABLE t (id INTEGER, "Full Name" VARCHAR, n1 INTEGER, n2 INTEGER);
INSERT INTO t VALUES (1, 'Ann', 5, NULL), (2, 'Bo', NULL, 7), (3, NULL, 1, 2);
SELECT * FROM t ORDER BY id;
SELECT * EXCLUDE (n1) FROM t ORDER BY ALL;
SELECT * REPLACE (n1 + 1 AS n1) FROM t ORDER BY id;
SELECT * RENAME (n1 AS first) FROM t ORDER BY id;
SELECT t.*, id AS again FROM t ORDER BY id;
SELECT COLUMNS('n\d') FROM t ORDER BY ALL;
SELECT min(COLUMNS(*)) FROM t;
SELECT COLUMNS(lambda c: c LIKE 'n%') + 1 FROM t ORDER BY ALL;
SELECT * LIKE 'n%' FROM t ORDER BY ALL;
SELECT coalesce(*COLUMNS('n\d')) AS c FROM t ORDER BY c;
SELECT id, id FROM t ORDER BY id;
SELECT "Full Name", "full name" AS n FROM t ORDER BY n NULLS FIRST;
SELECT * FROM t WHERE COLUMNS('n\d') IS NOT NULL;

-- case: grouping
CREATE TABLE s (region VARCHAR, product VARCHAR, amount INTEGER, day DATE);
INSERT INTO s SELECT ['n', 's'][1 + i % 2], ['p', 'q', 'r'][1 + i % 3], i * 7 % 11, DATE '2024-01-01' + i::INTEGER FROM range(24) g(i);
SELECT region, sum(amount) FROM s GROUP BY region ORDER BY region;
SELECT region, product, sum(amount) AS a FROM s GROUP BY ALL ORDER BY ALL;
SELECT region, product, sum(amount) AS a FROM s GROUP BY ROLLUP (region, product) ORDER BY ALL;
SELECT region, product, count(*) FROM s GROUP BY CUBE (region, product) ORDER BY ALL;
SELECT region, product, grouping(region) AS g, count(*) FROM s GROUP BY GROUPING SETS ((region), (product), ()) ORDER BY ALL;
SELECT region, count(*) FILTER (WHERE amount > 5) AS big, list(amount ORDER BY day) FILTER (WHERE amount < 3) AS small FROM s GROUP BY region ORDER BY region;
SELECT region AS r, sum(amount) AS total FROM s GROUP BY r HAVING total > 50 ORDER BY total DESC;
SELECT month(day) AS m, avg(amount) FROM s GROUP BY 1 ORDER BY 1;
SELECT count(DISTINCT product), string_agg(DISTINCT region, ',' ORDER BY region) FROM s;
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY amount), mode(region) FROM s WHERE region = 'n';
SELECT sum(amount) FROM s WHERE false;
SELECT upper(region) AS u, max(amount) - min(amount) AS spread FROM s GROUP BY u ORDER BY spread, u;
SELECT DISTINCT region FROM s ORDER BY region;
SELECT DISTINCT ON (region) region, product, amount FROM s ORDER BY region, amount DESC, product;
SELECT b, sum(a) AS a FROM (VALUES (1, 0), (1, 1)) t(a, b) GROUP BY b HAVING a > 0 ORDER BY ALL;
SELECT arg_max(product, amount), histogram(region) FROM s WHERE amount < 10;

-- case: windows
CREATE TABLE w AS SELECT i, i % 4 AS g, (i * 37) % 23 AS v FROM range(20) r(i);
SELECT i, row_number() OVER (PARTITION BY g ORDER BY v) AS n FROM w ORDER BY i;
SELECT i, sum(v) OVER (ORDER BY i ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS s FROM w ORDER BY i;
SELECT g, v FROM w QUALIFY rank() OVER (PARTITION BY g ORDER BY v DESC) = 1 ORDER BY g;
SELECT i, lag(v, 1, 0) OVER x AS before, first_value(v) OVER x AS first FROM w WINDOW x AS (PARTITION BY g ORDER BY i) ORDER BY i;
SELECT g, sum(sum(v)) OVER (ORDER BY g) AS running FROM w GROUP BY g ORDER BY g;
SELECT i, count(*) OVER (ORDER BY v RANGE BETWEEN 3 PRECEDING AND 3 FOLLOWING EXCLUDE CURRENT ROW) AS c FROM w ORDER BY i;
SELECT i, ntile(3) OVER (ORDER BY i) AS t, v FROM w QUALIFY t = 2 ORDER BY i;

-- case: joins
CREATE TABLE a (id INTEGER, x VARCHAR);
CREATE TABLE b (id INTEGER, y DOUBLE);
INSERT INTO a VALUES (1, 'p'), (2, 'q'), (3, NULL);
INSERT INTO b VALUES (2, 0.5), (3, 1.5), (3, 2.5), (4, NULL);
SELECT * FROM a JOIN b USING (id) ORDER BY ALL;
SELECT * FROM a LEFT JOIN b ON a.id = b.id ORDER BY ALL;
SELECT a.id, b.id FROM a FULL JOIN b ON a.id = b.id ORDER BY ALL;
SELECT * FROM a NATURAL JOIN b ORDER BY ALL;
SELECT * FROM a SEMI JOIN b USING (id) ORDER BY ALL;
SELECT * FROM a ANTI JOIN b USING (id) ORDER BY ALL;
SELECT * FROM a, b WHERE a.id < b.id ORDER BY ALL;
SELECT * FROM a POSITIONAL JOIN b;
SELECT a.id, z.w FROM a, LATERAL (SELECT a.id * 10 AS w) z ORDER BY ALL;
SELECT a.id, u.v FROM a, unnest([a.id, a.id + 1]) AS u(v) ORDER BY ALL;
SELECT * FROM b ASOF JOIN a ON b.id >= a.id ORDER BY ALL;
SELECT a.x, (SELECT sum(y) FROM b WHERE b.id = a.id) AS s FROM a ORDER BY a.id;
SELECT id FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.id = a.id) ORDER BY id;
SELECT id FROM a WHERE id IN (SELECT id FROM b) AND id > ALL (SELECT 1) ORDER BY id;
SELECT a.id, a AS whole FROM a ORDER BY a.id;

-- case: sets_and_ctes
SELECT 1 AS x UNION ALL SELECT 2 UNION SELECT 2 ORDER BY x;
(SELECT 1 AS x, 'a' AS y) UNION ALL BY NAME (SELECT 'b' AS y, 2 AS x) ORDER BY x;
SELECT * FROM range(5) EXCEPT SELECT * FROM range(3) ORDER BY 1;
SELECT i FROM range(5) r(i) INTERSECT ALL SELECT i FROM range(2, 9) r(i) ORDER BY i DESC LIMIT 2;
(SELECT 3 AS z ORDER BY z LIMIT 1) UNION ALL (SELECT 4) ORDER BY z DESC;
WITH RECURSIVE f(n, a, b) AS (SELECT 1, 0::BIGINT, 1::BIGINT UNION ALL SELECT n + 1, b, a + b FROM f WHERE n < 20) SELECT n, a FROM f ORDER BY n;
WITH x AS MATERIALIZED (SELECT i FROM range(4) r(i)), y(j) AS (SELECT i + 1 FROM x) SELECT * FROM x, y WHERE i = j ORDER BY i;
WITH x AS (SELECT 1 AS a) SELECT * FROM (WITH x AS (SELECT 2 AS a) SELECT a FROM x) UNION ALL SELECT a FROM x ORDER BY a;
SELECT count(*) FROM (SELECT 1 UNION SELECT 1);

-- case: nested_types
SELECT {'a': 1, 'b': {'c': [1, 2]}} AS s, [1, NULL, 3] AS l, map {'k': 1} AS m;
SELECT s.a, s['b'], s.b.c[1] FROM (SELECT {'a': 1, 'b': {'c': [5, 6]}} AS s);
SELECT list_transform([1, 2, 3], lambda x: x + 1) AS l, list_filter([1, 2, 3], lambda x, i: x > i) AS f;
SELECT [x * 2 FOR x IN [1, 2, 3] IF x > 1] AS c;
SELECT list_reduce([1, 2, 3, 4], lambda a, b: a + b) AS r, [1, 2, 3][2:] AS tail, 'abc'[1] AS first;
SELECT unnest([1, 2, 3]) AS u, unnest(['a', 'b']) AS v;
SELECT unnest({'p': 1, 'q': 'z'});
SELECT unnest([{'p': 1, 'q': [1]}, {'p': 2, 'q': NULL}], recursive := true);
SELECT struct_pack(x := 1, y := 'b') AS p, row(1, 'c') AS r, union_value(num := 2) AS u;
SELECT array_value(1.0, 2.0)::DOUBLE[2] AS d, list_sort([3, 1, 2]) AS s, [[1], [2, 3]] AS nested;
SELECT x.l FROM (SELECT [{'i': i, 'n': [{'j': i}]}] AS l FROM range(5) r(i)) x ORDER BY x.l DESC;
SELECT 'a' || 'b' AS cat, 'x'.upper().lower() AS chained, 'ünï 😀' AS wide;
SELECT '{"a": [1, {"b": "c"}]}'::JSON -> '$.a[1].b' AS j, '{"a": 1}'::JSON ->> 'a' AS t;

-- case: types
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE e (id INTEGER, m mood, d DECIMAL(9, 2), h HUGEINT, u UUID, t TIMESTAMPTZ, i INTERVAL, bits BIT, raw BLOB);
INSERT INTO e VALUES (1, 'ok', 1.10, 170141183460469231731687303715884105727, '00000000-0000-0000-0000-000000000001', '2024-01-01 00:00:00+00', INTERVAL 3 DAY, '0101', '\xAA'::BLOB), (2, 'happy', -2, -1, NULL, NULL, NULL, NULL, NULL), (3, 'sad', NULL, NULL, NULL, NULL, NULL, '1', 'x'::BLOB);
SELECT * FROM e ORDER BY id;
SELECT m FROM e ORDER BY m;
SELECT id, m FROM e WHERE m > 'sad' ORDER BY m DESC;
SELECT max(m), min(m) FROM e;
SELECT typeof(m), typeof(d), typeof(h), typeof(bits) FROM e LIMIT 1;
SELECT sum(d), sum(h), avg(d) FROM e;
SELECT d * 1.5 AS x, h // 2 AS y, i * 2 AS z, bits | '0011'::BIT AS w FROM e WHERE id = 1;
SELECT CAST('2024-02-29' AS DATE) + 1 AS d, TIME '12:30' AS t, TIMESTAMP '2024-01-01 10:00' - TIMESTAMP '2023-01-01' AS i;
SELECT 1::TINYINT + 1 AS a, 300::UTINYINT IS NULL AS b FROM e WHERE false;
SELECT TRY_CAST('x' AS INTEGER) AS c, 'nan'::DOUBLE AS n, '-inf'::FLOAT AS i, 1e308 * 10 AS o;
SELECT CASE WHEN id = 1 THEN m END AS c, COALESCE(m, 'sad') AS d, m IN ('ok', 'sad') AS e FROM e ORDER BY id;
SELECT date_trunc('month', DATE '2024-05-17') AS m, extract(year FROM DATE '2024-05-17') AS y, strftime(DATE '2024-05-17', '%d/%m') AS f;
SELECT 5 BETWEEN 1 AND 9 AND NOT (2 > 3) AS b, 1 IS DISTINCT FROM NULL AS d, 'abc' SIMILAR TO 'a.c' AS s, 'x' NOT LIKE 'y%' AS l;

-- case: pivots
CREATE TABLE c (country VARCHAR, year INTEGER, n INTEGER);
INSERT INTO c VALUES ('nl', 2000, 10), ('nl', 2010, 12), ('us', 2000, 80), ('us', 2010, 83);
PIVOT c ON year USING sum(n) GROUP BY country ORDER BY country;
FROM (PIVOT c ON year USING sum(n)) ORDER BY ALL;
SELECT * FROM c PIVOT (sum(n) FOR year IN (2000, 2010)) ORDER BY country;
WITH p AS (PIVOT c ON country IN ('nl', 'us') USING max(n) GROUP BY year) SELECT year, nl + us AS both FROM p ORDER BY year;
CREATE TABLE wide AS PIVOT c ON year USING sum(n);
UNPIVOT wide ON "2000", "2010" INTO NAME y VALUE v ORDER BY ALL;
SELECT * FROM wide UNPIVOT (v FOR y IN (COLUMNS(* EXCLUDE country))) ORDER BY ALL;

-- case: order_and_sample
CREATE TABLE o AS SELECT i, nullif(i % 5, 0) AS k FROM range(50) r(i);
SELECT k, i FROM o ORDER BY k NULLS FIRST, i DESC LIMIT 7 OFFSET 3;
SELECT i FROM o ORDER BY -i LIMIT 10%;
SELECT i FROM o ORDER BY i % 7, i FETCH FIRST 3 ROWS ONLY;
SELECT i AS k, k AS j FROM o ORDER BY k LIMIT 4;
SELECT i FROM o ORDER BY (SELECT max(i) FROM o) - i LIMIT 2;
SELECT count(*) FROM o USING SAMPLE 20 ROWS;
SELECT count(*) < 51 AS fine FROM o TABLESAMPLE reservoir(50%) REPEATABLE (42);
SELECT i FROM o USING SAMPLE reservoir(5 ROWS) REPEATABLE (7);
SELECT i FROM o LIMIT 0;
SELECT i FROM o WHERE i < 5 ORDER BY ALL DESC;

-- case: macros_and_views
CREATE TABLE m AS SELECT i, i % 2 AS odd FROM range(6) r(i);
CREATE MACRO plus(a, b := 10) AS a + b;
CREATE MACRO evens(top) AS TABLE SELECT i FROM m WHERE odd = 0 AND i < top;
CREATE VIEW v AS SELECT i, plus(i) AS p FROM m;
SELECT plus(1), plus(1, b := 2);
SELECT * FROM evens(5) ORDER BY i;
SELECT v.p, plus(p) AS q FROM v ORDER BY p;
CREATE TEMP TABLE tt AS FROM v;
SELECT count(*), max(p) FROM tt;
SET VARIABLE limit_at = 3;
SELECT i FROM m WHERE i < getvariable('limit_at') ORDER BY i;
CREATE SEQUENCE seq START 5;
SELECT nextval('seq') AS n, i FROM m WHERE i < 3 ORDER BY i;
SELECT avg(nextval('seq')) FROM m;
SELECT currval('seq');
CREATE SCHEMA other;
CREATE TABLE other.m AS SELECT 99 AS i;
SELECT a.i, b.i FROM other.m a, main.m b WHERE b.i = 1;
SET schema = 'other';
SELECT i FROM m;

-- case: changes
CREATE TABLE stock (id INTEGER PRIMARY KEY, n INTEGER DEFAULT 0, note VARCHAR);
INSERT INTO stock VALUES (1, 5, 'a'), (2, 6, 'b') RETURNING id, n * 2 AS twice;
INSERT INTO stock (id) VALUES (3) RETURNING *;
INSERT INTO stock VALUES (1, 9, 'c') ON CONFLICT (id) DO UPDATE SET n = excluded.n RETURNING *;
INSERT OR IGNORE INTO stock VALUES (1, 0, 'z');
UPDATE stock SET n = n + 1 WHERE id > 1 RETURNING id, n;
DELETE FROM stock WHERE id = 3 RETURNING id;
MERGE INTO stock USING (VALUES (2, 50), (7, 70)) AS s(id, n) ON stock.id = s.id WHEN MATCHED THEN UPDATE SET n = s.n WHEN NOT MATCHED THEN INSERT (id, n) VALUES (s.id, s.n) RETURNING merge_action, id, n;
SELECT * FROM stock ORDER BY id;
INSERT INTO stock VALUES (1, 1, 'duplicate');
SELECT nothing FROM stock;
SELEC 1;
BEGIN;
DELETE FROM stock;
SELECT count(*) FROM stock;
ROLLBACK;
SELECT count(*) FROM stock;
ALTER TABLE stock ADD COLUMN extra VARCHAR DEFAULT 'e';
SELECT * FROM stock ORDER BY id;
PREPARE p AS SELECT n FROM stock WHERE id = $1;
EXECUTE p(2);
DEALLOCATE p;
DESCRIBE stock;
SUMMARIZE SELECT 1 AS x;
SHOW TABLES;

-- case: unions
CREATE TABLE tbl (u UNION(a INTEGER, b VARCHAR));
INSERT INTO tbl VALUES (1), (NULL), (NULL::VARCHAR), ('x');
SELECT union_tag(u) AS tag, u FROM tbl ORDER BY ALL;

-- case: collations
CREATE TABLE n (a VARCHAR COLLATE NOCASE, b VARCHAR);
INSERT INTO n VALUES ('b', 'x'), ('A', 'y'), ('B', 'z'), ('a', 'w');
SELECT a, b FROM n WHERE a = 'A' ORDER BY b;
SELECT DISTINCT a FROM n ORDER BY lower(a);
SELECT a, count(*) FROM n GROUP BY a ORDER BY ALL;
SELECT b COLLATE NOCASE AS c FROM n ORDER BY c;
SELECT alias(a) AS named, alias(a || b) FROM n LIMIT 1;

-- case: files
CREATE TABLE f AS SELECT i, 'v' || i AS s FROM range(5) r(i);
COPY f TO 'f.csv' (HEADER, DELIMITER '|');
COPY (SELECT i * 2 AS d FROM f) TO 'd.parquet' (FORMAT parquet);
SELECT * FROM read_csv('f.csv') ORDER BY i;
SELECT * FROM 'd.parquet' ORDER BY d DESC;
SELECT sum(d) FROM read_parquet(['d.parquet', 'd.parquet']);
CREATE TABLE g (i INTEGER, s VARCHAR);
COPY g FROM 'f.csv' (HEADER, DELIMITER '|');
SELECT count(*) FROM g;
ATTACH ':memory:' AS side;
CREATE TABLE side.x AS SELECT 7 AS n;
SELECT n FROM side.x;
USE side;
SELECT n + 1 AS m FROM x;
USE memory;
DETACH side;
