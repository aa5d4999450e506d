-- What every case of the .slt files can read. The model is tests/support/reader.py.
CREATE TABLE t (id INTEGER, body VARCHAR, k INTEGER, d DOUBLE, st STRUCT(a INTEGER, b VARCHAR[]));
INSERT INTO t VALUES
    (1, 'kiwi apple', 1, 0.5, {a: 1, b: ['x']}), (2, 'apple', 1, 1.5, {a: 2, b: ['kiwi', 'y']}), (3, NULL, 2, NULL, NULL),
    (4, 'plum name=Bo amount=3', 2, 2.5, {a: NULL, b: []}), (5, 'kiwi kiwi', 3, 3.5, {a: 5, b: NULL}),
    (6, 'apple', NULL, 4.5, {a: 6, b: ['z']}), (7, '', 3, 5.5, {a: 7, b: ['kiwi']}),
    (8, 'Pear kiwi name=Al', 1, 0.5, {a: 8, b: ['q', 'r']});
CREATE TABLE u (id INTEGER, name VARCHAR, k INTEGER);
INSERT INTO u VALUES (1, 'apple', 1), (2, 'kiwi', 2), (3, NULL, 3), (4, 'plum', NULL), (5, 'apple', 1);
CREATE TABLE empty (id INTEGER, body VARCHAR);
CREATE TABLE nulls AS SELECT i::INTEGER AS id, NULL::VARCHAR AS body FROM range(3) r(i);
CREATE TABLE types AS
    SELECT 1::HUGEINT h, 'a'::ENUM('a', 'b') e, 1.23::DECIMAL(9, 2) dec, '00000000-0000-0000-0000-000000000001'::UUID uu,
           TIMESTAMPTZ '2024-01-01 00:00:00+00' tz, DATE '2024-02-03' dt, MAP {'k': 1} mp, [1, 2] li, {x: 1} s,
           INTERVAL 3 DAY iv, TIME '10:00:00' tm, 'blob'::BLOB bl, 255::UTINYINT ut, 'kiwi' body, '{"a": 1}'::JSON js;
CREATE TEMP TABLE tmp AS SELECT * FROM t WHERE id < 4;
CREATE VIEW v AS SELECT id, body FROM t WHERE k = 1;
CREATE MACRO shout(x) AS upper(x) || '!';
CREATE TABLE labels AS SELECT 'apple' AS label UNION ALL SELECT 'kiwi';
CREATE TABLE "Odd Name" AS SELECT 1 AS "a b", 'kiwi' AS "select", 'x' AS "Ünï";
SET TimeZone = 'UTC';
