"""A table of tickets and a model that answers by everything it is asked; it fails on the word ``fails``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import pytest

import anserdb
from anserdb.engine.errors import ModelError
from anserdb.engine.sql.dialects.rewrite import rewrite
from anserdb.engine.sql.dialects.rewritten import Rewritten
from anserdb.engine.sql.tokens import Text
from anserdb.udfs.models import deterministic
from anserdb.udfs.models.base import Capabilities, ChoiceAnswer, Generate, JsonAnswer, Request
from anserdb.udfs.models.scripted import ScriptedModel

TICKETS = """
CREATE TABLE tickets (id INTEGER, body VARCHAR, city VARCHAR);
INSERT INTO tickets VALUES (1, 'it broke', 'Lyon'), (2, 'where is it', 'Kyoto'), (3, NULL, 'Lyon'), (4, 'fails', 'Kyoto');
"""


def answer(request: Request) -> str:
    """An answer that another instruction, input or type would change."""
    assert isinstance(request, Generate)
    asked = f"{request.system}\0{request.user}"
    if "fails" in request.user:
        raise ModelError("no answer to this")
    match request.answer:
        case ChoiceAnswer(choices):
            return deterministic.choice(asked, choices, 0)
        case JsonAnswer(schema):
            return deterministic.dumps(deterministic.json_value(asked, json.loads(schema), 0))
        case _:
            return deterministic.sentence(asked, 0)


@dataclass
class Outcome:
    """What came of a statement. ``asked`` counts the requests."""

    names: list[str]
    types: list[str]
    rows: list[tuple[Any, ...]]
    asked: Counter[Request]
    notices: list[str]


@dataclass
class Bench:
    """A connection whose only model is ``model``."""

    connection: anserdb.Connection
    model: ScriptedModel

    def spoken(self, sql: str) -> Rewritten | None:
        """The rewriting of a statement."""
        return rewrite(Text(sql), self.connection._open_session())

    def text(self, sql: str) -> str:
        """The statement as it is rewritten; itself if it is not."""
        spoken = self.spoken(sql)
        return sql if spoken is None else spoken.sql

    def expression(self, written: str) -> str:
        """An expression over tickets as it is rewritten."""
        head, tail = "SELECT 1 + ", " FROM tickets"
        text = self.text(f"{head}{written}{tail}")
        assert text.startswith(head)
        assert text.endswith(tail)
        return text.removeprefix(head).removesuffix(tail)

    def run(self, sql: str) -> Outcome:
        """Run a query to its end."""
        before = len(self.model.calls)
        result = self.connection.sql(sql)
        assert result is not None
        rows = result.fetchall()
        asked = Counter(self.model.calls[before:])
        return Outcome(list(result.columns), list(result.types), rows, asked, list(result.notices))

    def ask(self, written: str) -> Outcome:
        """An expression for each ticket that does not fail."""
        return self.run(f"SELECT {written} AS x FROM tickets WHERE id < 4 ORDER BY id")

    def failing(self, written: str) -> Any:
        """What an expression is for the ticket that fails."""
        return self.run(f"SELECT {written} AS x FROM tickets WHERE id = 4").rows[0][0]


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    native = duckdb.connect(config={"threads": 1})
    connection = anserdb.connect(
        native, store=":memory:", llm_model="known", llm_embedding_model="known-embed", llm_cache=False
    )
    capabilities = Capabilities(embeds=True, choice_scores=False, local=True, dimension=4)
    model = ScriptedModel([(lambda _: True, answer)], capabilities=capabilities, name="known")
    connection.register_model("known", model)
    connection.register_model("known-embed", ScriptedModel(dimension=4, name="known-embed"))
    connection.sql(TICKETS)
    yield Bench(connection, model)
    connection.close()
