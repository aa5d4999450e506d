"""Each way in which a server fails, alone and all at once: every answer is right, or its row says that it failed; and the
records are the bill."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stamina

from benchmarks.server import FaultRates, Kind, LoopbackServer
from tests.support.fault_matrix import PROFILE, WORKLOADS, Row, answer, billed, books, connect, explained, fetch, told

FAULTS: tuple[int | Kind, ...] = (
    429, 500, 503, "timeout", "drop", "slow_loris", "truncated_body", "truncated_sse", "garbage", "empty_choices",
    "malformed_json", "wrong_schema",
)  # fmt: skip
ASKED_AGAIN = ("empty_choices", "malformed_json", "wrong_schema")
"""What costs a repeated question; everything else is retried as often as it takes."""
NEVER_IN_TIME = ("timeout", "slow_loris")
RATES = (0.01, 0.05, 0.2)
FEW, MANY = 16, 160


@pytest.fixture(autouse=True)
def no_backoff() -> Iterator[None]:
    with stamina.set_testing(True, attempts=20, cap=True):
        yield


def faultless(rows: int) -> dict[str, list[Row]]:
    with LoopbackServer(PROFILE, answer=answer) as server, connect(server, rows) as con:
        results = {name: fetch(con, workload.sql) for name, workload in WORKLOADS.items()}
        assert fetch(con, "FROM llm_errors()") == []
        assert books(con) == billed(server.bill)
        assert server.bill.total.tokens_cached > 0
        return results


@pytest.fixture(scope="module")
def few() -> dict[str, list[Row]]:
    return faultless(FEW)


@pytest.fixture(scope="module")
def many() -> dict[str, list[Row]]:
    return faultless(MANY)


def run(faults: dict[int | Kind, float], rows: int, expected: dict[str, list[Row]], seed: int = 1) -> tuple[int, int]:
    """All workloads against a server with these faults: how many rows failed, and how many requests met a fault."""
    hurried = bool(faults.keys() & set(NEVER_IN_TIME))
    patience_s = (1.0 if rows == FEW else 2.0) if hurried else 60.0
    with (
        LoopbackServer(PROFILE, answer=answer, fault=FaultRates(faults, seed)) as server,
        connect(server, rows, llm_timeout_s=patience_s) as con,
    ):
        failed = sum(explained(workload, con, expected[name]) for name, workload in WORKLOADS.items())
        # Of an answer that a busy machine has too late, the bill knows the tokens and nobody else can.
        late = server.bill.total.answered - told(con)
        assert late == 0 or hurried
        if not late:
            assert books(con) == billed(server.bill)
        return failed, server.stats.faults


def test_without_faults_there_is_something_to_lose(few: dict[str, list[Row]]) -> None:
    assert 3 < len(few["filter"]) < FEW - 3
    assert len({row[0] for row in few["extract"] if row[1]["price"] is not None}) == FEW
    assert len(few["split"]) == 3 * FEW
    assert len({row[1] for row in few["aggregate"]}) == 5


@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_alone(fault: int | Kind, few: dict[str, list[Row]]) -> None:
    failed, met = run({fault: 0.1 if fault in NEVER_IN_TIME else 0.2}, FEW, few)
    assert met >= 3
    if fault not in ASKED_AGAIN:
        assert failed == 0


def test_all_faults_together(few: dict[str, list[Row]]) -> None:
    _, met = run(dict.fromkeys(FAULTS, 0.02), FEW, few)
    assert met >= 10


@pytest.mark.slow
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_at_length(fault: int | Kind, rate: float, many: dict[str, list[Row]]) -> None:
    failed, met = run({fault: rate}, MANY, many)
    assert met > 0
    if fault not in ASKED_AGAIN:
        assert failed <= MANY * 4 * rate**5  # after five retries


@pytest.mark.slow
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("seed", range(3))
def test_all_faults_together_at_length(rate: float, seed: int, many: dict[str, list[Row]]) -> None:
    _, met = run(dict.fromkeys(FAULTS, rate / 6), MANY, many, seed)  # twice the rate, of all requests
    assert met > 0
