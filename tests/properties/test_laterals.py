"""Calls in FROM, every form with every filter: lifted with and without rules, EMBEDDED, and as a loop a child could write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

import pytest

import anserdb
from anserdb.engine.session import Planned, Session
from anserdb.engine.sql.bind import StatementBinder
from anserdb.engine.sql.scope import NotLiftableError
from anserdb.udfs.models.base import Generate
from anserdb.udfs.models.scripted import ScriptedModel
from tests.support.reader import reader_model, shown_values

Row = tuple[Any, ...]
Asked = Counter[tuple[str, str]]

DOCS: list[tuple[int, str | None]] = [(1, "x y"), (2, None), (3, "y"), (4, "x y"), (5, ""), (6, "z x x"), (7, "w z")]
FORMS = {
    ",": "docs d, LATERAL LLM_SPLIT(d.body, 'words') AS s(word)",
    "INNER": "docs d JOIN LLM_SPLIT(d.body, 'words') AS s(word) ON d.id < 7 AND s.ordinal < 3",
    "LEFT": "docs d LEFT JOIN LATERAL LLM_SPLIT(d.body, 'words') AS s(word) ON true",
}
OF_DOCS = ["", "d.id > 1", "LLM_FILTER('mentions x', d.body)"]
OF_WORDS = [
    "",
    "s.word <> 'y'",
    "LLM_FILTER('mentions y', s.word)",
    "s.ordinal = 1 OR LLM_FILTER('mentions z', s.word)",
]
SELECTS = {
    "rows": "SELECT d.id, s.word FROM {source}{where}",
    "groups": "SELECT s.word, count(*) FROM {source}{where} GROUP BY s.word",
    "again": "SELECT d.id, t.part FROM {source}, LLM_SPLIT(s.word || ' and', 'words') t{where}",
}
QUERIES = [
    pytest.param(form, of_docs, of_words, select, id=f"{form}-{of_docs}-{of_words}-{select}")
    for form, of_docs, of_words, select in product(FORMS, OF_DOCS, OF_WORDS, SELECTS)
]


class Loop:
    """The query, row by row; ``asked`` has each question once."""

    def __init__(self) -> None:
        self.asked: Asked = Counter()

    def rows(self, form: str, of_docs: str, of_words: str, select: str) -> list[Row]:
        found = [
            (number, word)
            for number, body in DOCS
            if (form != "INNER" or number < 7) and self._keeps_doc(of_docs, number, body)
            for ordinal, word in self._words(body, keep=form == "LEFT")
            if (form != "INNER" or (ordinal or 0) < 3) and self._keeps_word(of_words, ordinal, word)
        ]
        match select:
            case "rows":
                return list(found)
            case "groups":
                return list(Counter(word for _, word in found).items())
            case _:
                return [(n, p) for n, w in found for _, p in self._words(w and f"{w} and", keep=False)]

    def _keeps_doc(self, where: str, number: int, body: str | None) -> bool:
        if where.startswith("LLM"):
            return self._mentions("x", body) is True
        return number > 1 if where else True

    def _keeps_word(self, where: str, ordinal: int | None, word: str | None) -> bool:
        if where.startswith("LLM"):
            return self._mentions("y", word) is True
        if where.startswith("s.ordinal"):
            return ordinal == 1 or self._mentions("z", word) is True
        return word is not None and word != "y" if where else True

    def _words(self, text: str | None, *, keep: bool) -> list[tuple[int | None, str | None]]:
        if text:
            self.asked["split", text] = 1
        found: list[tuple[int | None, str | None]] = list(enumerate(text.split(), 1)) if text else []
        return found or ([(None, None)] if keep else [])

    def _mentions(self, letter: str, text: str | None) -> bool | None:
        if text is None:
            return None
        self.asked[f"mentions {letter}", text] = 1
        return letter in text


@contextmanager
def connection(disabled: str) -> Iterator[tuple[anserdb.Connection, ScriptedModel]]:
    model = reader_model()
    with anserdb.connect(store=":memory:", llm_model="m", llm_disabled_rules=disabled, llm_cache=False) as made:
        made.register_model("m", model)
        made.sql("CREATE TABLE docs (id INTEGER, body VARCHAR)")
        values = ", ".join(f"({n}, {'NULL' if b is None else repr(b)})" for n, b in DOCS)
        made.sql(f"INSERT INTO docs VALUES {values}")
        yield made, model


@pytest.fixture(scope="module")
def lifted() -> Iterator[tuple[anserdb.Connection, ScriptedModel]]:
    with connection("") as made:
        yield made


@pytest.fixture(scope="module")
def naive() -> Iterator[tuple[anserdb.Connection, ScriptedModel]]:
    with connection("all") as made:
        yield made


@pytest.mark.parametrize(("form", "of_docs", "of_words", "select"), QUERIES)
def test_all_roads_lead_to_the_same_rows(
    form: str, of_docs: str, of_words: str, select: str,
    lifted: tuple[anserdb.Connection, ScriptedModel], naive: tuple[anserdb.Connection, ScriptedModel],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    conditions = " AND ".join(f"({c})" for c in (of_words, of_docs) if c)
    sql = SELECTS[select].format(source=FORMS[form], where=f" WHERE {conditions}" if conditions else "")
    loop = Loop()
    rows = Counter(loop.rows(form, of_docs, of_words, select))

    assert not _embedded(lifted, sql)
    found, asked = _ran(lifted, sql)
    assert found == rows
    assert asked == loop.asked  # not one question more than a child would ask, and none twice

    found, asked = _ran(naive, sql)
    assert found == rows
    assert _splits(loop.asked) <= _splits(asked)  # without rules more documents are split

    def refuse(_: StatementBinder) -> None:
        raise NotLiftableError("a test")

    monkeypatch.setattr(StatementBinder, "bind", refuse)
    assert _embedded(lifted, sql)
    found, asked = _ran(lifted, sql)
    assert found == rows
    assert _splits(loop.asked) <= _splits(asked)


def _ran(on: tuple[anserdb.Connection, ScriptedModel], sql: str) -> tuple[Counter[Row], Asked]:
    made, model = on
    model.calls.clear()
    result = made.sql(sql)
    assert result is not None
    rows = Counter(result.fetchall())
    return rows, Counter(_question(call) for call in model.calls if isinstance(call, Generate))


def _embedded(on: tuple[anserdb.Connection, ScriptedModel], sql: str) -> str:
    session = on[0]._session
    assert isinstance(session, Session)
    planned = session.plan(sql)
    assert isinstance(planned, Planned)
    return planned.embedded


def _splits(asked: Asked) -> set[str]:
    return {text for kind, text in asked if kind == "split"}


def _question(request: Generate) -> tuple[str, str]:
    kind = "split" if "Split the input" in request.system else request.user[request.user.index("mentions") :][:10]
    return kind, shown_values(request)[0]
