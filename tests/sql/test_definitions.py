"""Views and macros whose body asks a model: the same script in AnserDB and, with plain functions, in DuckDB alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

import anserdb
from anserdb.engine.errors import BindError, NotSupportedError, ProgrammingError
from tests.support.reader import reader_model, reference

TABLES = """
CREATE TABLE docs AS SELECT * FROM (VALUES
    (1, 'a kiwi', 'gold'), (2, 'a pear', 'gold'), (3, NULL, 'tin'), (4, 'kiwi and pear', NULL), (5, 'a kiwi', 'tin')
) d(id, body, tier);
CREATE SCHEMA other;
CREATE TABLE other.docs AS SELECT 9 AS id, 'kiwi of other' AS body;
"""
DEFINITIONS = """
CREATE VIEW kiwis AS SELECT id, tier, LLM_FILTER('mentions kiwi', body) AS kiwi FROM docs WHERE id < 5;
CREATE VIEW named (number, said) AS SELECT id, LLM_COMPLETE('say', body) FROM docs;
CREATE VIEW above AS SELECT * FROM kiwis WHERE kiwi;
CREATE VIEW other.theirs AS SELECT id, LLM_FILTER('mentions kiwi', body) AS kiwi FROM other.docs;
CREATE VIEW with_cte AS WITH d AS (SELECT * FROM docs WHERE tier = 'gold') SELECT id, LLM_COMPLETE('say', body) AS s FROM d;
CREATE VIEW grouped AS SELECT tier, LLM_SUMMARIZE(body) AS summary, count(*) AS n FROM docs GROUP BY tier;
CREATE VIEW two AS SELECT id FROM docs WHERE LLM_FILTER('mentions kiwi', body)
    UNION ALL SELECT id FROM docs WHERE LLM_FILTER('mentions pear', body);
CREATE TEMP VIEW mine AS FROM docs SELECT id, LLM_SCORE('mentions kiwi', body) AS score;
CREATE MACRO kiwi(x) AS LLM_FILTER('mentions kiwi', x);
CREATE MACRO fruit(x, which := 'mentions pear') AS LLM_FILTER(which, x);
CREATE MACRO either(x) AS kiwi(x) OR fruit(x);
CREATE FUNCTION other.theirs(x) AS LLM_COMPLETE('theirs', x);
CREATE MACRO parts(x) AS LLM_EXTRACT(x, {name: 'VARCHAR', amount: 'INTEGER'});
CREATE MACRO summed(x) AS LLM_SUMMARIZE(x);
CREATE MACRO upto(n) AS TABLE SELECT id, LLM_FILTER('mentions kiwi', body) AS kiwi, n AS most FROM docs WHERE id <= n;
CREATE MACRO mixed(a) AS a + 1, (a, b) AS LLM_COMPLETE(b, a);
CREATE MACRO keyed(id, x) AS {id: id, said: LLM_COMPLETE('say', x)};
CREATE MACRO hidden(a) AS list_transform([1, 2], lambda a, b: LLM_COMPLETE('say', a + b)) || [a::VARCHAR];
CREATE MACRO like_a_cte(n) AS TABLE
    WITH n AS (SELECT id, LLM_COMPLETE('say', body) AS s FROM docs) SELECT s FROM n WHERE id <= n;
"""
QUERIES = [
    "FROM kiwis",
    "SELECT count(*) FROM kiwis WHERE kiwi",
    "SELECT k.id, kiwis.kiwi FROM kiwis AS k JOIN kiwis ON k.id = kiwis.id WHERE k.kiwi",
    "SELECT tier, count(*) FROM kiwis GROUP BY ALL",
    "SELECT main.kiwis.id FROM main.kiwis WHERE main.kiwis.kiwi",
    "SELECT x.id FROM x: kiwis, named n WHERE x.id = n.number",
    "SELECT * FROM named",
    "SELECT number FROM named WHERE said IS NULL",
    "FROM above",
    "SELECT a.id FROM above a LEFT JOIN two b USING (id) WHERE b.id IS NOT NULL",
    "FROM other.theirs",
    "FROM with_cte",
    "FROM grouped",
    "FROM two",
    "FROM mine ORDER BY score DESC, id LIMIT 2",
    "WITH kiwis AS (SELECT 1 AS id) FROM kiwis",
    "WITH kiwis AS (SELECT id FROM kiwis WHERE kiwi) FROM kiwis",
    "WITH docs AS (SELECT 77 AS id) SELECT count(*) FROM kiwis, docs",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r, above WHERE n < 2) FROM r",
    "SELECT id, (SELECT max(id) FROM above) AS m FROM docs",
    "SELECT id FROM docs WHERE id IN (FROM above SELECT id)",
    "SELECT id FROM docs WHERE EXISTS (FROM above WHERE above.id = docs.id)",
    "SELECT id FROM (FROM above) UNION SELECT number FROM named",
    "SELECT extract(year FROM DATE '2020-01-01') AS kiwis, id FROM kiwis",
    "SELECT id IS DISTINCT FROM 1 AS kiwis FROM kiwis",
    "FROM (kiwis JOIN named ON id = number)",
    "PIVOT kiwis ON kiwi USING count(*)",
    "SELECT kiwi(body) FROM docs",
    "SELECT id, kiwi(body) AS k FROM docs WHERE kiwi(body) AND NOT fruit(body)",
    "SELECT fruit(body, 'mentions kiwi') AS a, fruit(body, which := 'mentions a') AS b FROM docs",
    "SELECT id FROM docs WHERE either(body) ORDER BY kiwi(body), id",
    "SELECT main.kiwi(body) AS a, other.theirs(body) AS b, memory.main.kiwi('kiwi') AS c FROM docs",
    "SELECT parts('name=Ada amount=3').name AS n, parts(body) AS p FROM docs",
    "SELECT tier, summed(body) AS s FROM docs GROUP BY tier",
    "FROM upto(3)",
    "SELECT u.id, u.most FROM upto(4) AS u WHERE u.kiwi",
    "FROM upto((SELECT max(id) FROM docs))",
    "SELECT mixed(1) AS one, mixed(body, 'two') AS two FROM docs",
    "SELECT keyed(id, body).said AS said, keyed(id + 1, body).id AS next FROM docs",
    "SELECT list_transform([body], lambda e: kiwi(e)) AS l FROM docs",
    "SELECT kiwi(body) AS k, count(*) AS n FROM docs GROUP BY kiwi(body) HAVING count(*) > 1",
    "SELECT kiwi(upper(body) || 'kiwi') AS k, 'kiwi(body)' AS text, \"body\" AS kiwi FROM docs",
    "SUMMARIZE FROM kiwis SELECT id",
    "TABLE kiwis",
    "SELECT memory.main.kiwis.id FROM memory.main.kiwis",
    "SELECT a.id FROM docs a LEFT JOIN docs b ON kiwi(b.body) AND a.id = b.id + 1",
    "SELECT id FROM docs SEMI JOIN (SELECT 'kiwi' AS y) ON kiwi(y)",
    "FROM docs AS kiwi(a, b)",
    "FROM main.docs kiwi(a, b)",
    "FROM (SELECT 1) kiwi(a)",
    "WITH a AS (SELECT 1 AS q), kiwi(z) AS (SELECT 2) FROM a, kiwi",
    "SELECT hidden(9) AS h",
    "FROM like_a_cte(2)",
]


def script(sql: str) -> list[str]:
    return [statement for statement in sql.split(";") if statement.strip()]


@pytest.fixture(scope="module")
def reference_connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        reference(connection)
        for statement in script(TABLES + DEFINITIONS):
            connection.execute(statement)
        yield connection


def connected(database: str = ":memory:") -> anserdb.Connection:
    connection = anserdb.connect(database, store=":memory:", llm_model="reader")
    connection.register_model("reader", reader_model())
    return connection


@pytest.fixture(scope="module")
def con() -> Iterator[anserdb.Connection]:
    with connected() as connection:
        for statement in script(TABLES + DEFINITIONS):
            connection.sql(statement)
        yield connection


def shown(rows: list[tuple[object, ...]]) -> list[str]:
    return sorted(map(repr, rows))


@pytest.mark.parametrize("query", QUERIES)
def test_a_definition_means_what_it_means_in_duckdb(
    con: anserdb.Connection, reference_connection: duckdb.DuckDBPyConnection, query: str
) -> None:
    result, expected = con.sql(query), reference_connection.sql(query)
    assert result is not None
    assert shown(result.fetchall()) == shown(expected.fetchall())
    assert result.columns == expected.columns


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE OR REPLACE TABLE made AS FROM kiwis",
        "INSERT INTO made SELECT id, tier, kiwi FROM kiwis WHERE kiwi",
        "INSERT INTO made VALUES ((SELECT max(id) FROM above), 'max', true)",
        "WITH k AS (SELECT id FROM above) INSERT INTO made SELECT id, 'with', true FROM k",
        "UPDATE made SET tier = 'kiwi' FROM above WHERE made.id = above.id",
        "DELETE FROM made USING above WHERE made.id = above.id AND made.tier = 'max'",
        "MERGE INTO made USING above ON made.id = above.id WHEN MATCHED THEN UPDATE SET tier = 'merged'",
        "UPDATE made SET kiwi = fruit(tier, 'mentions merged')",
    ],
)
def test_statements_that_change_rows_read_views(
    con: anserdb.Connection, reference_connection: duckdb.DuckDBPyConnection, statement: str
) -> None:
    for connection in (con, reference_connection):
        connection.execute("CREATE TABLE IF NOT EXISTS made (id INTEGER, tier VARCHAR, kiwi BOOLEAN)")
        connection.execute(statement)
    query = "SELECT * FROM made"
    assert shown(con.execute(query).fetchall()) == shown(reference_connection.execute(query).fetchall())


def test_copy_reads_a_view(con: anserdb.Connection, tmp_path: Path) -> None:
    con.sql(f"COPY (FROM above) TO '{tmp_path}/a.csv'")
    assert con.execute(f"SELECT count(*) FROM '{tmp_path}/a.csv'").fetchone() == (2,)


def test_a_view_that_is_read_twice_asks_once() -> None:
    with connected() as con:
        for statement in script(TABLES + DEFINITIONS):
            con.sql(statement)
        text = con.explain("SELECT * FROM kiwis a JOIN kiwis b USING (id)", analyze=True)
    assert text.count("1:LLM_FILTER") == 1
    assert "rows=4" in text


def test_definitions_live_in_the_database_file(tmp_path: Path) -> None:
    path = str(tmp_path / "shop.duckdb")
    with connected(path) as con:
        for statement in script(TABLES + DEFINITIONS.replace("TEMP VIEW", "VIEW")):
            con.sql(statement)
    with connected(path) as con:
        assert con.execute("SELECT count(*) FROM above").fetchone() == (2,)
        assert con.execute("SELECT kiwi('kiwi'), fruit('pear')").fetchone() == (True, True)
    with connected() as con:
        con.sql(f"ATTACH '{path}' AS shop")
        con.sql("CREATE TABLE docs AS SELECT 1 AS id, 'mine' AS body, NULL AS tier")
        assert con.execute("SELECT count(*) FROM shop.above").fetchone() == (2,)
        assert con.execute("FROM shop.other.theirs").fetchall() == [(9, True)]
        assert con.execute("SELECT shop.either('kiwi')").fetchone() == (True,)
        assert con.execute("SELECT count(*) FROM shop.upto(9)").fetchone() == (
            1,
        )  # as DuckDB's macros, the caller's table
        con.sql("DROP TABLE docs")
        assert con.execute("SELECT count(*) FROM shop.upto(9)").fetchone() == (5,)
        con.sql("CREATE VIEW here AS SELECT id FROM shop.above")
        assert con.execute("SELECT count(*) FROM here").fetchone() == (2,)


def test_duckdb_alone_says_who_can_read_it(tmp_path: Path) -> None:
    path = str(tmp_path / "shop.duckdb")
    with connected(path) as con:
        for statement in script(TABLES + DEFINITIONS):
            con.sql(statement)
    with duckdb.connect(path) as plain:
        with pytest.raises(duckdb.Error, match=r"kiwis asks a model \(LLM_FILTER\)"):
            plain.sql("FROM kiwis").fetchall()
        with pytest.raises(duckdb.Error, match=r"kiwi asks a model"):
            plain.sql("SELECT kiwi('a')").fetchall()
        assert plain.sql("SELECT id FROM kiwis").fetchall() == [(1,), (2,), (3,), (4,)]
        described = plain.sql("DESCRIBE kiwis").fetchall()
    assert [row[:2] for row in described] == [("id", "INTEGER"), ("tier", "VARCHAR"), ("kiwi", "BOOLEAN")]


def test_replaced_dropped_renamed_and_rolled_back_definitions() -> None:
    with connected() as con:
        for statement in script(TABLES + DEFINITIONS):
            con.sql(statement)
        con.sql("CREATE OR REPLACE VIEW kiwis AS SELECT 7 AS id, true AS kiwi")
        assert con.execute("FROM kiwis").fetchall() == [(7, True)]
        assert con.execute("SELECT id FROM above").fetchall() == [(7,)]
        con.sql("ALTER VIEW named RENAME TO renamed")
        assert con.execute("SELECT count(said) FROM renamed").fetchone() == (4,)
        con.sql("BEGIN")
        con.sql("CREATE VIEW brief AS SELECT LLM_FILTER('mentions kiwi', 'kiwi') AS k")
        assert con.execute("FROM brief").fetchall() == [(True,)]
        con.rollback()
        with pytest.raises(ProgrammingError, match="brief does not exist"):
            con.sql("FROM brief")
        con.sql("DROP VIEW kiwis")
        with pytest.raises(ProgrammingError, match="kiwis does not exist"):
            con.sql("FROM above")
        con.sql("DROP MACRO kiwi")
        with pytest.raises(ProgrammingError, match="kiwi does not exist"):
            con.sql("SELECT kiwi(body) FROM docs")


def test_a_temporary_table_hides_a_view(con: anserdb.Connection) -> None:
    con.sql("CREATE TEMP TABLE grouped AS SELECT 5 AS five")
    try:
        assert con.execute("FROM grouped").fetchall() == [(5,)]
        assert con.execute("FROM main.grouped").fetchall() == [(5,)]
        assert len(con.execute("FROM memory.grouped").fetchall()) == 3
    finally:
        con.sql("DROP TABLE temp.grouped")


@pytest.mark.parametrize(
    "path", ["USE other", "USE apart", "SET search_path = 'other,main'", "SET search_path = 'apart.main,other'"]
)
def test_names_in_a_view_mean_what_stands_beside_it(path: str) -> None:
    """Also where the session's own search path leads to other tables and views of the same name first."""
    setup = [
        *script(TABLES + DEFINITIONS),
        "CREATE VIEW other.kiwis AS SELECT id, LLM_COMPLETE('other', body) AS said FROM docs",
        "ATTACH ':memory:' AS apart",
        "CREATE TABLE apart.docs AS SELECT 11 AS id, 'kiwi apart' AS body, 'tin' AS tier",
        path,
    ]
    queries = ["FROM memory.main.above", "FROM memory.other.theirs", "FROM memory.other.kiwis", "FROM memory.main.two"]
    queries += ["FROM kiwis", "SELECT memory.main.kiwi(body) AS k FROM docs"]
    with connected() as con, duckdb.connect() as plain:
        reference(plain)
        for statement in setup:
            plain.execute(statement)
            con.sql(statement)
        for query in queries:
            assert _outcome(con, query) == _outcome(plain, query), query
        for connection in (con, plain):
            connection.execute("CREATE TEMP TABLE docs AS SELECT 12 AS id, 'temporary kiwi' AS body, 'tin' AS tier")
        assert _outcome(con, queries[0]) == _outcome(plain, queries[0])


def _outcome(connection: anserdb.Connection | duckdb.DuckDBPyConnection, query: str) -> list[str] | str:
    try:
        return shown(connection.execute(query).fetchall())
    except (duckdb.Error, ProgrammingError):
        return "an error"


def test_another_connection_of_the_process_sees_a_new_view(con: anserdb.Connection) -> None:
    with anserdb.connect(con.duckdb.cursor(), store=":memory:", llm_model="reader") as second:
        second.register_model("reader", reader_model())
        assert second.execute("SELECT count(*) FROM above").fetchone() == (2,)
        second.sql("CREATE OR REPLACE VIEW late AS SELECT LLM_FILTER('mentions kiwi', 'kiwi') AS k")
    assert con.execute("FROM late").fetchall() == [(True,)]


def test_parameters_reach_views_and_macros(con: anserdb.Connection) -> None:
    assert con.execute("SELECT id FROM kiwis WHERE id > ? ORDER BY id", [2]).fetchall() == [(3,), (4,)]
    assert con.execute("SELECT kiwi($text)", {"text": "a kiwi"}).fetchone() == (True,)


def test_dialects_and_templates_in_definitions() -> None:
    with connected() as con:
        for statement in script(TABLES):
            con.sql(statement)
        con.sql("CREATE VIEW snow AS SELECT id, AI_FILTER(PROMPT('mentions kiwi: {0}', body)) FROM docs")
        assert con.execute("SELECT id FROM snow WHERE ai_filter").fetchall() == [(1,), (4,), (5,)]
        con.sql("CREATE MACRO template(x) AS LLM_FILTER('mentions kiwi: {x}')")
        assert con.execute("SELECT d.id FROM docs d WHERE template(d.body)").fetchall() == [(1,), (4,), (5,)]
        con.sql("CREATE MACRO big(x) AS AI.IF(('mentions kiwi', x))")
        con.sql("CREATE MACRO asked(x) AS AI_FILTER(PROMPT('mentions kiwi: {0}', x))")
        for name in ("big", "asked"):
            assert con.execute(f"SELECT id FROM docs WHERE {name}(body)").fetchall() == [(1,), (4,), (5,)]
        with pytest.raises(BindError, match=r"a template names \{x\}; only a column"):
            con.sql("SELECT template(upper(body)) FROM docs")


@pytest.mark.parametrize(
    ("statement", "message", "word"),
    [
        ("CREATE VIEW bad AS SELECT LLM_FILTER('x', nocolumn) FROM docs", "nocolumn", "nocolumn"),
        ("CREATE VIEW bad AS SELECT LLM_FILTR('x', body) FROM docs", "Did you mean LLM_FILTER", "LLM_FILTR"),
        ("CREATE MACRO bad(x) AS LLM_FILTER('x', x, modl := 'k')", "Did you mean model", "modl"),
        ("CREATE VIEW bad AS SELECT id + AI_FILTER(PROMPT('{1}', body)) FROM docs", r"\{1\}", "PROMPT"),
        ("SELECT kiwi(nocolumn) FROM docs", "nocolumn", "nocolumn"),
        ("SELECT id FROM docs WHERE kiwi()", r"Macro kiwi takes \(x\); 0 given", "kiwi"),
        ("SELECT summed(DISTINCT body) FROM docs", "DISTINCT, ORDER BY and FILTER have no meaning", "summed"),
        ("SELECT summed(body) FILTER (WHERE id > 1) FROM docs", "FILTER have no meaning in its call", "summed"),
        ("SELECT fruit('a', what := 1)", r"Macro fruit takes \(x, which := 'mentions pear'\)", "fruit"),
    ],
)
def test_mistakes_are_shown_at_the_users_words(
    con: anserdb.Connection, statement: str, message: str, word: str
) -> None:
    with pytest.raises(BindError, match=message) as caught:
        con.sql(statement)
    assert caught.value.position is not None
    assert statement[caught.value.position.start :].startswith(word)


def test_what_went_missing_below_a_view_is_shown_at_the_view() -> None:
    with connected() as con:
        for statement in script(TABLES + DEFINITIONS):
            con.sql(statement)
        con.sql("DROP TABLE docs")
        with pytest.raises(BindError, match="docs does not exist") as caught:
            con.sql("SELECT 1 FROM above")
    assert caught.value.position is not None
    assert (caught.value.position.start, caught.value.position.end) == (14, 19)


def test_a_definition_that_reads_itself_is_refused(con: anserdb.Connection) -> None:
    con.sql("CREATE OR REPLACE MACRO selfish(x) AS kiwi(x) OR selfish(x)")
    with pytest.raises(BindError, match="The macro selfish reads itself"):
        con.sql("SELECT selfish('a')")
    with pytest.raises(NotSupportedError, match="WITH RECURSIVE"):
        con.sql("CREATE RECURSIVE VIEW r (n) AS SELECT LLM_FILTER('mentions kiwi', 'a')")


def test_explain_shows_what_a_view_asks(con: anserdb.Connection) -> None:
    assert "LLM_FILTER" in con.explain("FROM above")
    with pytest.raises(NotSupportedError, match="has no plan"):
        con.explain("CREATE VIEW again AS SELECT LLM_FILTER('mentions kiwi', body) FROM docs")


def test_plain_statements_do_not_read_the_catalogue_again(con: anserdb.Connection) -> None:
    with connected() as plain:
        plain.sql("CREATE TABLE t AS SELECT 1 AS a")
        plain.sql("CREATE VIEW asks AS SELECT LLM_FILTER('mentions kiwi', 'kiwi') AS k")
        plain.sql("FROM asks").fetchall()  # type: ignore[union-attr]
        definitions = plain._open_session().definitions
        reads = 0
        original = definitions._read

        def counted() -> None:
            nonlocal reads
            reads += 1
            original()

        definitions._read = counted  # type: ignore[method-assign]
        for _ in range(5):
            plain.sql("SELECT a FROM t").fetchall()  # type: ignore[union-attr]
            plain.sql("INSERT INTO t VALUES (1)")
            plain.sql("CREATE OR REPLACE TEMP TABLE u AS SELECT a FROM t")
    assert reads == 0
