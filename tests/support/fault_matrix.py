"""Queries whose results under faults are held against those without: what may differ is only what an error row explains."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import anserdb
from benchmarks.server import Bill, LoopbackServer, Profile
from benchmarks.server.answers import Answer, scripted_answer
from benchmarks.server.asked import asked_schema, user_text

GROUPS = 5
PROFILE = Profile(price_in=0.4, price_out=1.6, cache_tokens=4096)
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Workload:
    """A query over ``t(id, body)``.

    Parameters
    ----------
    sql : the query. parent : of which row's, or group's, answer a row of its result is. of : the same from the id of a row.
    """

    sql: str
    parent: Callable[[Row], int]
    of: Callable[[int], int] = lambda number: number

    def answers(self, rows: list[Row]) -> dict[int, list[Row]]:
        """The rows of each answer, in their order; a row that says there is no answer is none."""
        found: dict[int, list[Row]] = {}
        for row in rows:
            if row[-1] is not None:
                found.setdefault(self.parent(row), []).append(row)
        return found


WORKLOADS: Mapping[str, Workload] = {
    "filter": Workload("SELECT id FROM t WHERE LLM_FILTER('is it any good?', body) ORDER BY id", lambda row: row[0]),
    "extract": Workload(
        "SELECT id, LLM_EXTRACT(body, {product: 'VARCHAR', price: 'DOUBLE'}) AS x FROM t ORDER BY id",
        lambda row: row[0],
    ),
    "aggregate": Workload(
        f"SELECT id % {GROUPS} AS g, LLM_AGG(body, 'What do they say?') AS x FROM t GROUP BY g ORDER BY g",
        lambda row: row[0],
        lambda number: number % GROUPS,
    ),
    "split": Workload(
        "SELECT t.id, s.ordinal, s.part FROM t, LATERAL LLM_SPLIT(t.body, 'sentences') AS s(part) ORDER BY t.id, s.ordinal",
        lambda row: row[0],
    ),
}


def answer(body: dict[str, Any]) -> Answer:
    """A splitter that cuts at full stops; for the rest the scripted model's."""
    if "parts" in (asked_schema(body) or {}).get("properties", {}):
        return json.dumps({"parts": re.findall(r"(?:Item|It) [^.]*\.", user_text(body))})
    return scripted_answer(body)


def connect(server: LoopbackServer, rows: int, **settings: Any) -> anserdb.Connection:
    """A table of items, and the server as the default model, its price known."""
    con = anserdb.connect(store=":memory:", llm_model="remote", **settings)
    con.sql(
        f"CREATE MODEL remote (PROVIDER openai, MODEL 'simulated', BASE_URL '{server.base_url}', CONCURRENCY 16, "
        f"PRICE_IN {PROFILE.price_in}, PRICE_OUT {PROFILE.price_out})"
    )
    con.sql(
        "CREATE TABLE t AS SELECT i AS id, 'Item ' || i || ' is here. It costs ' || i * 7 || ' euro. It came on day ' || i "
        f"|| '.' AS body FROM range({rows}) r(i)"
    )
    return con


def fetch(con: anserdb.Connection, sql: str) -> list[Row]:
    """All rows."""
    result = con.sql(sql)
    assert result is not None
    return result.fetchall()


def explained(workload: Workload, con: anserdb.Connection, expected: list[Row]) -> int:
    """Run it; nothing wrong, nothing twice, nothing lost without a row in ``llm_errors()``. The number of error rows."""
    before = len(fetch(con, "FROM llm_errors()"))
    rows = fetch(con, workload.sql)
    errors = fetch(con, "SELECT input_preview, error FROM llm_errors()")
    right, got = workload.answers(expected), workload.answers(rows)
    wrong = {parent: found for parent, found in got.items() if right.get(parent) != found}
    assert wrong == {}
    lost = right.keys() - got.keys()
    unexplained = lost - {workload.of(number) for preview, _ in errors for number in items(preview)}
    assert unexplained == set()
    assert len(errors) - before >= len(lost)
    return len(errors) - before


def items(preview: str) -> list[int]:
    """The items that a preview of a failed row's input names."""
    return [int(number) for number in re.findall(r"Item (\d+) ", preview)]


def books(con: anserdb.Connection) -> dict[str, Any]:
    """The records, added up as the bill adds."""
    (row,) = fetch(
        con,
        "SELECT coalesce(sum(1 + retries), 0)::BIGINT, coalesce(sum(tokens_in), 0)::BIGINT, "
        "coalesce(sum(tokens_cached), 0)::BIGINT, coalesce(sum(tokens_out), 0)::BIGINT, coalesce(sum(cost_usd), 0) FROM llm_calls()",
    )
    names = ("requests", "tokens_in", "tokens_cached", "tokens_out")
    return {**dict(zip(names, row, strict=False)), "usd": cents(Decimal(row[-1]))}


def told(con: anserdb.Connection) -> int:
    """The answers whose tokens the client was told."""
    return int(fetch(con, "SELECT count(tokens_in) FROM llm_calls()")[0][0])


def billed(bill: Bill) -> dict[str, Any]:
    """The bill, in the same words."""
    total = bill.total
    return {
        "requests": total.requests,
        "tokens_in": total.tokens_in,
        "tokens_cached": total.tokens_cached,
        "tokens_out": total.tokens_out,
        "usd": cents(bill.usd),
    }


def cents(usd: Decimal) -> Decimal:
    """To a millionth of a cent: what a sum of floating-point prices can be held to."""
    return usd.quantize(Decimal("1e-8"))
