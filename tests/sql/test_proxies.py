"""CREATE PROXY, SHOW PROXIES, DROP PROXY, and queries that a proxy answers: what is learnt, tested, kept and refused."""

from __future__ import annotations

import hashlib
import random
import re

import pytest

import anserdb
from anserdb.engine.errors import BindError, Error, InvalidAnswer, NotSupportedError, ParseError, ProgrammingError
from anserdb.udfs.models.base import Capabilities, Embed
from anserdb.udfs.models.scripted import ScriptedModel

CONDITION = "the review is positive"
CREATE = f"CREATE PROXY p FOR LLM_FILTER('{CONDITION}') ON (SELECT review FROM t)"
ROWS = 300


def _texts(rows):
    rng = random.Random(1)
    words = ["film", "plot", "actor", "scene", "the", "a", "of", "music", "camera", "story"]
    kinds = (["dull", "tedious", "clumsy", "noisy"], ["splendid", "moving", "witty", "lovely"])
    return [
        " ".join([*rng.choices(words, k=4), rng.choice(kinds[n % 2]), *rng.choices(words, k=4), str(n)])
        for n in range(rows)
    ]


def _reference(rules=None):
    return ScriptedModel(rules or [(r"splendid|moving|witty|lovely", "Yes"), ("", "No")])


def _by_chance(text):
    return hashlib.md5(text.encode()).digest()[0] < 128


@pytest.fixture
def model():
    return _reference()


def _connect(model, store=":memory:", rows=ROWS, embeddings=None, database=":memory:"):
    con = anserdb.connect(database, store=store, llm_model="m", llm_embedding_model="none", llm_proxy_rows=260)
    con.register_model("m", model)
    if embeddings is not None:
        con.register_model("e", embeddings)
        con.settings.assign("llm_embedding_model", "e")
    con.execute("CREATE OR REPLACE TABLE t AS SELECT unnest($1) AS review", [_texts(rows)])
    return con


@pytest.fixture
def con(model):
    con = _connect(model)
    yield con
    con.close()


def _one(result):
    (row,) = result.arrow().to_pylist()
    return row


def test_a_proxy_is_taught_tested_and_shown(con, model):
    made = _one(con.sql(CREATE))
    assert made == _one(con.sql("SHOW PROXIES"))
    expected = {"name": "p", "function": "LLM_FILTER", "instruction": CONDITION, "reference": "m", "training_rows": 208}
    assert expected.items() <= made.items()
    assert made["hold_out_rows"] == 52
    assert made["agreement"] == 1.0
    assert made["agreement_low"] < 1.0 == made["agreement_high"]
    assert made["certificate"].startswith("0.95: ")
    assert made["embeddings"] == "-"
    assert len({call.user for call in model.calls if "Review:" in call.user}) >= 260


def test_a_rerun_asks_nothing(con, model):
    con.sql(CREATE)
    asked = len(model.calls)
    con.sql(CREATE.replace("CREATE", "CREATE OR REPLACE"))
    assert len(model.calls) == asked


def test_answers_that_are_there_teach_first(con, model):
    con.sql(f"SELECT LLM_FILTER('{CONDITION}', review) FROM t").fetchall()
    asked = len(model.calls)
    con.sql(CREATE)
    assert len(model.calls) == asked


def test_the_test_is_on_rows_that_were_not_learnt():
    """A reference that answers by chance cannot be learnt. A student that had seen the hold-out would know it by heart."""
    model = _reference([(_by_chance, "Yes"), ("", "No")])
    con = _connect(model, rows=600)
    con.sql("SET llm_proxy_rows = 600")
    made = _one(con.sql(CREATE))
    assert made["hold_out_rows"] == 120
    assert 0.3 < made["agreement"] < 0.7
    assert "0.95" not in made["certificate"]
    assert made["agreement_low"] < 0.5 < made["agreement_high"]
    con.close()


def test_a_proxy_outlives_its_connection(tmp_path, model):
    place, database = tmp_path / "kept.anser", tmp_path / "kept.db"
    con = _connect(model, place, database=database)
    made = _one(con.sql(CREATE))
    con.close()
    again = _connect(model, place, database=database)
    assert _one(again.sql("SHOW PROXIES")) == made
    again.sql("DROP PROXY P")
    assert again.sql("SHOW PROXIES").fetchall() == []
    again.close()


QUERY = f"SELECT count(*) FROM t WHERE LLM_FILTER('{CONDITION}', review, guarantee := 'accuracy >= 0.9', proxy := 'p')"


def test_a_query_is_answered_by_it_and_proved_on_its_own_rows(con, model):
    con.sql(CREATE)
    con.execute(
        "CREATE OR REPLACE TABLE t AS SELECT unnest($1) AS review", [[f"{text} again" for text in _texts(1200)]]
    )
    asked = len(model.calls)
    assert con.sql(QUERY).fetchall() == [(600,)]
    assert 0 < len(model.calls) - asked < 300
    asked = len(model.calls)
    assert con.sql(QUERY).fetchall() == [(600,)]
    assert len(model.calls) == asked
    (line,) = con.sql("SELECT DISTINCT proxy, reference, rows FROM llm_certificates()").fetchall()
    assert line == ("p", "m", 1200)


def test_a_bad_proxy_breaks_no_promise(con, model):
    """It learnt another condition; the query's own sample finds out."""
    con.sql(
        "CREATE PROXY p FOR LLM_FILTER('the review is long') ON (SELECT review FROM t WHERE review NOT LIKE '%dull%')"
    )
    con.execute("CREATE OR REPLACE TABLE t AS SELECT unnest($1) AS review", [[f"{i} words" for i in range(600)]])
    before = con.sql(f"SELECT count(*) FROM t WHERE LLM_FILTER('{CONDITION}', review)").fetchall()
    assert abs(con.sql(QUERY).fetchall()[0][0] - before[0][0]) <= 60
    (line,) = con.sql("SELECT by_proxy < 300, certified >= 0.9 FROM llm_certificates()").fetchall()
    assert line == (True, True)


def test_a_tested_proxy_goes_before_a_model(con):
    con.register_model("cheap", _reference())
    con.sql("SET llm_candidate_models = 'cheap'")
    query = f"SELECT review FROM t WHERE LLM_FILTER('{CONDITION}', review)"
    con.sql("SET llm_guarantee = 'accuracy >= 0.9'")
    assert "proxy cheap" in con.explain(query)
    con.sql(CREATE)
    assert "proxy p" in con.explain(query)
    assert "proxy p" not in con.explain(query.replace("positive", "negative"))
    assert "proxy p" not in con.explain(query.replace("review)", "review, instructions := 'be strict')"))
    con.sql("SET llm_guarantee = 'accuracy >= 0.999'")
    assert "proxy cheap" in con.explain(query)  # its test is too small to prove that
    con.sql("SET llm_guarantee = 'recall >= 0.9'")
    assert "proxy p" in con.explain(query)
    con.sql("SET llm_guarantee = 'recall >= 0.9, precision >= 0.99'")
    assert "proxy cheap" in con.explain(query)
    con.sql("SET llm_guarantee = 'accuracy >= 0.9'; SET llm_guarantee_proxy = 'cheap'")
    assert "proxy cheap" in con.explain(query)
    con.sql("SET llm_guarantee_proxy = 'P'; SET llm_candidate_models = ''")
    assert "proxy p" in con.explain(query).lower()


def test_the_reference_itself_is_asked_whatever_is_set(con, model):
    """A proxy that learnt from a proxy would be tested against it, too."""
    wrong = _reference([("", "No")])
    con.register_model("cheap", wrong)
    con.sql("SET llm_candidate_models = 'cheap'; SET llm_guarantee = 'accuracy >= 0.5'; SET llm_min_quality = 0.5")
    con.sql(CREATE)
    assert not wrong.calls
    assert str(con.settings.llm_guarantee) == "accuracy >= 0.5"


def test_labels_are_learnt():
    model = ScriptedModel([(r"splendid|moving", "art"), (r"witty|lovely", "fun"), ("", "boring")])
    con = _connect(model)
    made = _one(con.sql("CREATE PROXY p FOR LLM_CLASSIFY(['art', 'fun', 'boring']) ON (SELECT review FROM t)"))
    assert made["function"] == "LLM_CLASSIFY"
    assert made["instruction"] == "art, fun, boring"
    assert made["agreement"] > 0.9
    query = "SELECT LLM_CLASSIFY(review, ['art', 'fun', 'boring'], guarantee := 'accuracy >= 0.9', proxy := 'p') AS a FROM t GROUP BY a ORDER BY a"
    plain = query.replace(", guarantee := 'accuracy >= 0.9', proxy := 'p'", "")
    assert con.sql(query).fetchall() == con.sql(plain).fetchall()
    with pytest.raises(BindError, match="cannot answer"):
        con.sql(query.replace("'fun'", "'else'")).fetchall()
    con.close()


def test_pairs_and_columns_by_name(con):
    con.sql("CREATE TABLE pairs AS SELECT review AS a, review || '!' AS b, 1 AS other FROM t")
    made = _one(
        con.sql(
            "CREATE PROXY p FOR LLM_FILTER('{a} and {b} say the same', a, \"b\") ON (SELECT other, a, b FROM pairs)"
        )
    )
    assert made["training_rows"] == 208


def test_embeddings_teach_and_are_needed_again():
    vectors = ScriptedModel([(r"splendid|moving|witty|lovely", [1.0, 0.2]), ("", [0.1, 1.0])], dimension=2, name="e")
    model = _reference()
    con = _connect(model, embeddings=vectors)
    made = _one(con.sql(CREATE))
    assert made["embeddings"].startswith("scripted:e")
    assert made["agreement"] == 1.0
    assert any(isinstance(call, Embed) for call in vectors.calls)
    assert con.sql("SELECT sum(calls) > 0 FROM llm_usage() WHERE function = 'LLM_EMBED'").fetchall() == [(True,)]
    con.execute("CREATE OR REPLACE TABLE t AS SELECT unnest($1) AS review", [_texts(900)])
    asked = len(model.calls)
    assert con.sql(QUERY).fetchall() == [(450,)]
    assert len(model.calls) - asked < 600
    con.sql("SET llm_embedding_model = 'none'")
    with pytest.raises(BindError, match="SET llm_embedding_model"):
        con.sql(QUERY).fetchall()
    con.close()


def test_rows_are_compared_with_what_the_proxy_learnt_to_compare_them_with():
    """A label more in the query is a likeness more, which the proxy knows nothing of."""
    vectors = ScriptedModel([(r"splendid|moving|art", [1.0, 0.2]), ("", [0.1, 1.0])], dimension=2, name="e")
    model = ScriptedModel([(r"splendid|moving", "art"), ("", "fun")], capabilities=Capabilities())
    con = _connect(model, embeddings=vectors)
    con.sql("CREATE PROXY p FOR LLM_CLASSIFY(['art', 'fun']) ON (SELECT review FROM t)")
    con.execute("CREATE OR REPLACE TABLE t AS SELECT unnest($1) AS review", [_texts(900)])
    asked = len(model.calls)
    call = "LLM_CLASSIFY(review, ['art', 'fun', 'else'], guarantee := 'accuracy >= 0.9', proxy := 'p')"
    found = con.sql(f"SELECT count(*) FILTER (WHERE {call} = 'art') FROM t").fetchall()
    assert found == [(sum("splendid" in text or "moving" in text for text in _texts(900)),)]
    assert len(model.calls) - asked < 600
    con.close()


def test_twins_do_the_same(con):
    made = _one(con.sql(f"CALL llm_create_proxy('p', 'LLM_FILTER(''{CONDITION}'')', 'SELECT review FROM t')"))
    assert made["training_rows"] == 208
    with pytest.raises(ProgrammingError, match="Proxy p exists"):
        con.sql(f"CALL llm_create_proxy('p', 'LLM_FILTER(''{CONDITION}'')', 'SELECT review FROM t')")
    con.sql("CALL llm_drop_proxy('p')")
    con.sql("CALL llm_drop_proxy('p', if_exists := true)")
    assert con.sql("SHOW PROXIES").fetchall() == []
    with pytest.raises(ParseError, match="llm_create_proxy"):
        con.sql("CALL llm_create_proxy('p', 'no call', 'SELECT 1')")


def test_names_that_are_there_or_not(con, model):
    con.sql(CREATE)
    asked = len(model.calls)
    with pytest.raises(ProgrammingError, match="OR REPLACE PROXY p"):
        con.sql(CREATE.replace("PROXY p", "PROXY P").replace("positive", "negative"))
    con.sql(CREATE.replace("PROXY p", "PROXY IF NOT EXISTS p").replace("positive", "negative"))
    assert len(model.calls) == asked  # nothing is spent before that is known
    with pytest.raises(BindError, match="SHOW PROXIES") as caught:
        con.sql("DROP PROXY q")
    assert caught.value.position is not None
    con.sql("DROP PROXY IF EXISTS q")
    con.sql("DROP PROXY p")


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (CREATE.replace("FOR", "OF"), "Expected FOR"),
        (CREATE.replace("ON (SELECT review FROM t)", ""), "Expected ON"),
        (CREATE.replace("SELECT review FROM t", ""), "Expected a query"),
        (CREATE.replace("LLM_FILTER", "LLM_FLTER"), "There is no semantic function LLM_FLTER"),
        (CREATE.replace("LLM_FILTER", "LLM_COMPLETE"), "cannot learn LLM_COMPLETE"),
        (CREATE.replace("')", "', body)"), "body is no column"),
        (CREATE.replace("')", "', guarantee := 'accuracy >= 0.9')"), "leave guarantee"),
        (CREATE.replace("')", "', temprature := 1)"), "no option temprature"),
        (CREATE.replace("SELECT review FROM t", "SELECT review FROM nowhere"), "nowhere"),
        (CREATE.replace("FROM t", "FROM t LIMIT 100"), "250 different inputs.*gives 100"),
        (CREATE.replace(" ON (SELECT review", " ON (SELECT LLM_SUMMARIZE(review) AS r"), "make a table of it first"),
        ("CREATE OR REPLACE PROXY IF NOT EXISTS p FOR LLM_FILTER('x') ON (SELECT 1)", "opposite"),
        ("CREATE PROXY p FOR LLM_CLASSIFY(['a', 'b']) ON (SELECT review, 1 AS n FROM t)", "has one input"),
        ("CREATE PROXY p FOR LLM_CLASSIFY(['a', 'b'], multi := true) ON (SELECT review FROM t)", "one label a row"),
        ("CREATE PROXY p FOR LLM_FILTER() ON (SELECT review FROM t)", "needs its condition"),
        ("DROP PROXY", "a proxy's name"),
        ("SELECT LLM_FILTER('x', review, guarantee := 0.9, proxy := 'nobody') FROM t", "no proxy nobody"),
    ],
)
def test_what_is_wrong_is_said_and_costs_nothing(con, model, statement, words):
    with pytest.raises((ProgrammingError, NotSupportedError, Error), match=words):
        con.sql(statement).fetchall()
    assert not model.calls
    assert con.sql("SHOW PROXIES").fetchall() == []


def test_too_few_answers_are_said_with_what_to_do():
    failure = InvalidAnswer("no answer")
    model = ScriptedModel(
        [(lambda text: _by_chance(text) and re.search(r"\d$", text) is not None, failure), ("", "No")]
    )
    con = _connect(model)
    with pytest.raises(ProgrammingError, match=r"needs 200 answers to learn from, and has \d+ \(and"):
        con.sql(CREATE)
    con.sql("SET llm_proxy_rows = 100")
    with pytest.raises(ProgrammingError, match="SET llm_proxy_rows = 1000"):
        con.sql(CREATE)
    con.close()


def test_caps_hold(con, model):
    con.sql("SET llm_max_calls = 50")
    with pytest.raises(Error, match="llm_max_calls"):
        con.sql(CREATE)
    assert len(model.calls) <= 50
    assert con.sql("SHOW PROXIES").fetchall() == []
