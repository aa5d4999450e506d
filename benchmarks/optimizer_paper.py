"""Workloads like those of Palimpzest's paper, through SQL, on a SIMULATED server: what the choice of models is worth, sampling paid for.

``make bench-optimizer``. Outputs are SIMULATED: a model is right with the accuracy below, hard rows are hard for all of them.
Prices are public list prices (package ``genai-prices`` 0.2.3, read 2026-11-23). A token is a word. Time is SIMULATED, too: each
call takes its model's seconds, and calls are laid on workers in the order in which they came.

The champion plan asks the dearest model everything, with this engine's de-duplication, cache and order of filters. Its time
with many workers is that of a perfect schedule.
"""

from __future__ import annotations

import hashlib
import heapq
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import anserdb
from anserdb.optimizer.search.chooser import FIRST_WAVE

from .optimizer_workloads import WORKLOADS, Workload
from .server import LoopbackServer, Profile
from .server.answers import scripted_answer
from .server.asked import asked_choices, prompt, user_text
from .support_measure import table

SEEDS, WORKERS, MIN_QUALITY = 20, 32, 0.9
OTHER_ROWS = 1_000_000
"""Added to a seed it is that of other rows."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """A model. ``accuracy`` : share of right answers to questions of mean hardness; the first token comes after ``first_s``."""

    name: str
    usd_in: float
    usd_out: float
    accuracy: float
    first_s: float
    read_per_s: float


MODELS = (
    Simulated("claude-opus-4-1", 15.0, 75.0, 0.985, 1.8, 1_500),
    Simulated("gpt-4o", 2.5, 10.0, 0.975, 0.7, 4_000),
    Simulated("gpt-4.1", 2.0, 8.0, 0.975, 0.7, 4_000),
    Simulated("gpt-4.1-mini", 0.4, 1.6, 0.96, 0.45, 8_000),
    Simulated("gpt-4o-mini", 0.15, 0.6, 0.94, 0.45, 8_000),
    Simulated("gpt-4.1-nano", 0.1, 0.4, 0.88, 0.3, 12_000),
)
CHAMPION = MODELS[0].name
BY_NAME = {model.name: model for model in MODELS}


@dataclass(frozen=True, slots=True)
class Call:
    """One request: to whom, about what, and how long it takes."""

    model: str
    text: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Run:
    """One query: what it cost, its calls, and F1 of the rows it kept against the labels."""

    usd: float
    calls: Sequence[Call]
    f1: float

    @property
    def alone_s(self) -> float:
        """With one worker."""
        return sum(call.seconds for call in self.calls)

    @property
    def together_s(self) -> float:
        """With ``WORKERS``: the calls in their order, and a pause of the longest call after every wave of comparisons."""
        free = [0.0] * WORKERS
        for call in self.calls:
            heapq.heapreplace(free, free[0] + call.seconds)
        return max(free) + self._waves * max((call.seconds for call in self.calls), default=0.0)

    @property
    def _waves(self) -> float:
        asked: dict[str, set[str]] = {}
        for call in self.calls:
            asked.setdefault(call.text, set()).add(call.model)
        return sum(len(models) > 1 for models in asked.values()) / FIRST_WAVE


class World:
    """A server that answers as the models would, and writes down what it was asked."""

    def __init__(self, workload: Workload, seed: int) -> None:
        self._workload, self._seed, self.calls = workload, seed, list[Call]()

    def answer(self, body: dict[str, Any]) -> Any:
        """One answer; of several rows in a prompt these models know nothing."""
        text, model = user_text(body), BY_NAME[body["model"]]
        size = len(prompt(body))
        self.calls.append(Call(model.name, text, model.first_s + size / model.read_per_s))
        choices = asked_choices(body)
        if not choices:
            return scripted_answer(body, self._seed)
        right = self._workload.right(" ".join(prompt(body)), choices)
        hard = (self._chance(text, "hard") + self._chance(text, model.name)) / 2
        # The mean of two uniform numbers is below sqrt(a / 2) with probability a.
        wrong = hard < ((1 - model.accuracy) / 2) ** 0.5
        said = choices[(choices.index(right) + 1) % len(choices)] if wrong else right
        return {choice: -0.01 if choice == said else -6.0 for choice in choices}

    def _chance(self, text: str, salt: str) -> float:
        digest = hashlib.blake2b(f"{self._seed}{salt}{text}".encode(), digest_size=6).digest()
        return int.from_bytes(digest, "big") / 2**48


Ask = Callable[..., Run]


@dataclass(frozen=True, slots=True)
class Runs:
    """One seed: the champion plan, ours on the same rows, and, on other rows in a table of that name, what comes later.

    Parameters
    ----------
    profile : all rows of the first table answered by all arms, which ``later`` knows of. other : the champion on later's rows.
    """

    champion: Run
    ours: Run
    profile: float
    later: Run
    other: Run


@contextmanager
def served(answer: Callable[[dict[str, Any]], Any]) -> Iterator[tuple[anserdb.Connection, LoopbackServer, str]]:
    """A connection whose models answer so, their server, and a folder. Nothing is found in the cache."""
    profiles = [Profile(m.name, price_in=m.usd_in, price_out=m.usd_out) for m in MODELS]
    with (
        LoopbackServer(*profiles, answer=answer) as server,
        tempfile.TemporaryDirectory() as folder,
        anserdb.connect(store=Path(folder) / "s.anser", llm_model=CHAMPION, llm_concurrency=WORKERS) as con,
    ):
        for m in MODELS:
            con.sql(
                f"CREATE MODEL \"{m.name}\" USING openai (model '{m.name}', base_url '{server.base_url}', "
                f"price_in {m.usd_in}, price_out {m.usd_out})"
            )
        con.sql("SET llm_cache = false")
        yield con, server, folder


@contextmanager
def opened(workload: Workload, seed: int) -> Iterator[tuple[anserdb.Connection, Ask]]:
    """A connection to a world, and what runs the query once."""
    world = World(workload, seed)
    with served(world.answer) as (con, server, folder):
        fill(con, workload, seed, folder)
        yield con, partial(_run, con, server, world, workload)


def fill(con: anserdb.Connection, workload: Workload, seed: int, folder: str) -> None:
    """The table that the query reads, with the rows of a seed."""
    columns = zip(*workload.rows(random.Random(seed)), strict=True)
    made = pa.table([list(column) for column in columns], ["id", "body", "extra", "price"])
    pq.write_table(made, f"{folder}/rows.parquet")
    con.sql(f"CREATE OR REPLACE TABLE rows_of AS FROM '{folder}/rows.parquet'")


def runs_of(workload: Workload, seed: int) -> Runs:
    """All that one seed has to show; the later run and the first have a store of their own each."""
    with opened(workload, seed) as (con, ask):
        champion = ask()
        allow(con)
        ours = ask()
    with opened(workload, seed) as (con, ask), tempfile.TemporaryDirectory() as folder:
        allow(con)
        con.sql(f"SET llm_profile_rows = {workload.rows_of}")
        profile = ask(f"PROFILE {workload.query}").usd
        fill(con, workload, OTHER_ROWS + seed, folder)
        later = ask()
        con.sql("SET llm_min_quality = NULL")
        return Runs(champion, ours, profile, later, ask())


def allow(con: anserdb.Connection) -> None:
    """Other models may answer."""
    con.sql(f"SET llm_objective = 'cost'; SET llm_min_quality = {MIN_QUALITY}")
    con.sql(f"SET llm_candidate_models = '{', '.join(m.name for m in MODELS[1:])}'")


def alone(workload: Workload, seed: int = 0) -> Iterator[str]:
    """What each model would do for all calls, unproved: what a plan chosen with hindsight could have."""
    with opened(workload, seed) as (con, ask):
        champion = ask()
        for m in MODELS[1:]:
            con.sql(f"SET llm_model = '{m.name}'")
            run = ask()
            yield f"{m.name} {champion.usd / run.usd:.1f}× money at {run.f1 / champion.f1:.0%} of F1"


def _run(
    con: anserdb.Connection, server: LoopbackServer, world: World, workload: Workload, query: str | None = None
) -> Run:
    world.calls.clear()
    spent = server.bill.usd
    found = con.sql(query or workload.query)
    assert found is not None
    kept = {row[0] for row in found.fetchall()}
    right = len(kept & workload.positive)
    f1 = 2 * right / max(1, len(kept) + len(workload.positive))
    return Run(float(server.bill.usd - spent), tuple(world.calls), f1)


def report(workload: Workload, runs: Sequence[tuple[Run, Run]]) -> list[str]:
    """Ratios of sums over all seeds: champion ÷ ours."""

    def ratio(mine: float, theirs: float) -> str:
        return f"{theirs / mine:.1f}×"

    usd = [fmean(run.usd for run in side) for side in zip(*runs, strict=True)]
    alone = [fmean(run.alone_s for run in side) for side in zip(*runs, strict=True)]
    together = [fmean(run.together_s for run in side) for side in zip(*runs, strict=True)]
    f1 = [fmean(run.f1 for run in side) for side in zip(*runs, strict=True)]
    return [
        workload.name, f"${usd[0]:.3f}", f"${usd[1]:.3f}", ratio(usd[1], usd[0]), ratio(alone[1], alone[0]),
        ratio(together[0], alone[0]), ratio(together[1], alone[0]), f"{f1[0]:.3f}", f"{f1[1]:.3f}",
    ]  # fmt: skip


HEAD = [
    "workload",
    "champion",
    "ours",
    "money",
    "time: plan only",
    "time: parallel only",
    "time: both",
    "F1 champion",
    "F1 ours",
]


def targets(workload: Workload, runs: Sequence[tuple[Run, Run]]) -> None:
    """Met or missed, and what a miss comes from."""
    champion, ours = zip(*runs, strict=True)
    money = sum(r.usd for r in champion) / sum(r.usd for r in ours)
    figures = {
        "money": (money, workload.money),
        "time, 1 worker": (sum(r.alone_s for r in champion) / sum(r.alone_s for r in ours), workload.seconds),
        "time, 32 workers": (sum(r.alone_s for r in champion) / sum(r.together_s for r in ours), 90.0),
        "F1 ÷ champion's": (fmean(r.f1 for r in ours) / fmean(r.f1 for r in champion), workload.f1),
    }
    for what, (figure, target) in figures.items():
        print(
            f"  {workload.name:8} {what:18}{figure:6.2f}, target ≥ {target:5.2f}: {'met' if figure >= target else 'MISSED'}"
        )
    asked = fmean(sum(c.model == CHAMPION for c in r.calls) for r in ours)
    of = fmean(len(r.calls) for r in champion)
    print(f"           the reference still answers {asked:,.0f} questions of {of:,.0f}: with these alone money is "
          f"{of / max(1.0, asked):.1f}× at most")  # fmt: skip

    print(f"           unproved, for all calls (seed 0): {'; '.join(alone(workload))}")


def later(runs: Sequence[Runs]) -> None:
    """What the store is worth to a query of the same task on other rows, and what it cost to fill."""
    other, mine = fmean(r.other.usd for r in runs), fmean(r.later.usd for r in runs)
    f1 = fmean(r.later.f1 for r in runs) / fmean(r.other.f1 for r in runs)
    profile = fmean(r.profile for r in runs)
    pays = f"it pays from query {profile / (other - mine) + 1:.1f} on" if mine < other else "it never pays"
    print(
        f"           on other rows of the table, after PROFILE had seen these: {other / mine:.2f}× money at {f1:.0%} of the "
        f"champion's F1;\n           PROFILE itself cost {profile / other:.2f} of a champion's run, once: {pays}"
    )


def main() -> None:
    """Print all of it; ``python -m benchmarks.optimizer_paper legal 3`` one workload with so many seeds."""
    wanted = sys.argv[1:2] or [workload.name for workload in WORKLOADS]
    seeds = int(sys.argv[2]) if len(sys.argv) > 2 else SEEDS
    every = {w: [runs_of(w, seed) for seed in range(seeds)] for w in WORKLOADS if w.name in wanted}
    found = {w: [(r.champion, r.ours) for r in runs] for w, runs in every.items()}
    print(
        f"SIMULATED models (6, public list prices) and SIMULATED time; llm_min_quality = {MIN_QUALITY}; {seeds} seeds. Champion ÷ ours;"
    )
    print(f"both and parallel only: {WORKERS} workers against one. Sampling, audits and failed calls are paid for.\n")
    print(table(HEAD, [report(w, runs) for w, runs in found.items()]) + "\n")
    for workload, runs in found.items():
        targets(workload, runs)
        later(every[workload])


if __name__ == "__main__":
    main()
