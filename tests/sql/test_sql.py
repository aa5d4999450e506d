"""End-to-end cases: each query of the ``.slt`` files runs with every rule, with none, and in DuckDB alone.

A case is a query, ``----`` and what to expect::

    SELECT id FROM t WHERE LLM_FILTER('mentions kiwi', body) ORDER BY id
    ----
    mode: STREAM
    calls: 6
    columns: id INTEGER
    (1,)

Cases are separated by empty lines; lines that begin with ``#`` are comments. Statements before the last one (after a
``;`` at a line's end) prepare the case, which then has connections of its own. ``calls`` are those made with every rule.
``reference: no`` marks what plain DuckDB with the functions as UDFs cannot run. ``error:`` takes the place of the rest:
the error's class and text. ``UPDATE=1`` (``make update``) rewrites expectations; the rows are DuckDB's wherever it can.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

import anserdb
from anserdb.engine.session import Planned, Session
from tests.support.reader import reader_model, reference

FOLDER = Path(__file__).parent
GENERATED = re.compile(r"__(?:in|[acgs])\d|__anser|__groups|__source|__rows|CASE  ?WHEN \(.* IS NULL")


@dataclass(frozen=True)
class Case:
    """One case of a file: ``comments`` before it, the text of its query, and the lines after ``----``."""

    comments: str
    sql: str
    expected: str

    def text(self) -> str:
        return f"{self.comments}{self.sql}\n----\n{self.expected}\n"

    @property
    def statements(self) -> list[str]:
        """Preparing statements, then the query."""
        return re.split(r";\n", self.sql)

    @property
    def ordered(self) -> bool:
        """Whether the order of rows is part of the result."""
        return "ORDER BY" in self.statements[-1].upper()

    @property
    def without_reference(self) -> bool:
        return "reference: no" in self.expected.split("\n")


def cases(file: Path) -> list[Case]:
    """The cases of a file."""
    found = re.findall(r"((?:#[^\n]*\n|\n)*)(.+?)\n----\n(.*?)\n?(?=\n\n|\Z)", file.read_text(), re.S)
    return [Case("".join(f"{c}\n" for c in about.split("\n") if c), sql, e.rstrip("\n")) for about, sql, e in found]


@dataclass
class Engines:
    """The three roads of a case."""

    optimized: anserdb.Connection
    naive: anserdb.Connection
    plain: duckdb.DuckDBPyConnection

    def prepare(self, statements: list[str], *, plain: bool) -> None:
        for statement in statements:
            self.optimized.sql(statement)
            self.naive.sql(statement)
            if plain:
                self.plain.execute(statement)

    def close(self) -> None:
        self.optimized.close()
        self.naive.close()
        self.plain.close()


def _connection(disabled: str) -> anserdb.Connection:
    native = duckdb.connect(config={"threads": 1})
    settings: dict[str, Any] = {"llm_model": "reader", "llm_embedding_model": "reader", "llm_cache": False}
    made = anserdb.connect(native, store=":memory:", llm_disabled_rules=disabled, **settings)
    made.register_model("reader", reader_model())
    return made


def engines() -> Engines:
    plain = duckdb.connect(config={"threads": 1})
    reference(plain)
    made = Engines(_connection(""), _connection("all"), plain)
    made.prepare([(FOLDER / "setup.sql").read_text()], plain=True)
    return made


@pytest.fixture(scope="module")
def shared() -> Iterator[Engines]:
    made = engines()
    yield made
    made.close()


def _ran(connection: anserdb.Connection, case: Case) -> tuple[list[str], int | None]:
    """The result as lines (columns, then rows), and calls made."""
    result = connection.sql(case.statements[-1])
    if result is None:
        return [], None
    lines = [repr(row) for row in result.fetchall()]
    shown = ", ".join(f"{n} {t}" for n, t in zip(result.columns, result.types, strict=True))
    calls = result.progress.calls if result.progress is not None else None
    return [f"columns: {shown}", *(lines if case.ordered else sorted(lines))], calls


def _mode(connection: anserdb.Connection, sql: str) -> str:
    session = connection._session
    assert isinstance(session, Session)
    planned = session.plan(sql)
    if not isinstance(planned, Planned):
        return "PLAIN"
    if planned.embedded:
        return session.explain(sql).text.split()[1]  # DuckDB's own plan decides between PREFETCH and EMBEDDED
    return "STAGE" if planned.plan.session else "STREAM"


def outcome(case: Case, on: Engines) -> str:
    """What comes of the case now. All roads must agree."""
    failure: anserdb.Error | None = None
    try:
        lines, calls = _ran(on.optimized, case)
    except anserdb.Error as error:
        failure = error
    if failure is not None:
        return _failed(failure, case, on)
    naive, naive_calls = _ran(on.naive, case)
    assert naive == lines
    assert (calls or 0) <= (naive_calls or 0)
    if not case.without_reference:
        relation = on.plain.sql(case.statements[-1])
        rows = [] if relation is None else [repr(row) for row in relation.fetchall()]
        assert (rows if case.ordered else sorted(rows)) == lines[1:]
        _same_names(relation, lines)
    assert not GENERATED.search(lines[0] if lines else "")
    head = ["reference: no"] * case.without_reference + [f"mode: {_mode(on.optimized, case.statements[-1])}"]
    return "\n".join([*head, *([] if calls is None else [f"calls: {calls}"]), *lines])


def _failed(failure: anserdb.Error, case: Case, on: Engines) -> str:
    assert not GENERATED.search(str(failure)), f"names of our own in: {failure}"
    with pytest.raises(type(failure)):
        _ran(on.naive, case)
    return re.sub(r"\n\s*\n", "\n", f"error: {type(failure).__name__}\n{failure}")


def _same_names(relation: duckdb.DuckDBPyRelation | None, lines: list[str]) -> None:
    """Columns are called what DuckDB calls them, but for those that hold a call and have no alias."""
    if relation is not None and not any("llm_" in name.lower() for name in relation.columns):
        assert lines[0] == "columns: " + ", ".join(
            f"{n} {t}" for n, t in zip(relation.columns, relation.types, strict=True)
        )


FILES = sorted(FOLDER.glob("*.slt"))
PAIRS = [pytest.param(f, n, id=f"{f.stem}:{n + 1}") for f in FILES for n in range(len(cases(f)))]


@pytest.mark.parametrize(("file", "number"), PAIRS)
def test_case(shared: Engines, file: Path, number: int) -> None:
    case = cases(file)[number]
    preparing = case.statements[:-1]
    on = engines() if preparing else shared
    try:
        on.prepare(preparing, plain=not case.without_reference)
        found = outcome(case, on)
    finally:
        if preparing:
            on.close()
    if os.environ.get("UPDATE"):
        updated = [replace(c, expected=found) if n == number else c for n, c in enumerate(cases(file))]
        file.write_text("\n".join(c.text() for c in updated))
    else:
        assert found == case.expected, case.sql
