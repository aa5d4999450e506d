"""Golden plans. Each case of ``<rule>.slt`` is bound by the real binder, rewritten, compared as text, and run both ways.

A case::

    # its name
    what it shows (any lines)
    order: sort_first, limit_demand      (only when more than the file's rule has to run)
    model: prefix cache                  (only when the model has one)
    set: llm_on_budget = partial         (only when a setting is not its default)
    keys: declared                       (what is known of tables: every column is a key; ``looked for``: none is, as yet)
    learnt: 1:LLM_FILTER 0.9, …          (shares of TRUE that earlier queries taught; other rows may be asked, then)
    candidates: tiny, mini               (models that may answer for others)
    sql:
    SELECT …
    before:
    the naive tree
    after:
    the rewritten tree, or (unchanged)

``UPDATE=1`` (``make update``) rewrites the expectations.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from anserdb.engine.plan.nodes import Plan, SemanticCall, Source
from anserdb.engine.plan.render import render
from anserdb.engine.settings import Settings
from anserdb.optimizer.context import Context, NoStatistics
from anserdb.optimizer.cost.figure import Figure
from anserdb.optimizer.pipeline import ORDER, optimize
from anserdb.optimizer.rules import all_rules
from anserdb.udfs.models.base import Capabilities
from tests.support.plans import Evaluator, database, naive_plan

FOLDER = Path(__file__).parent
UNCHANGED = "(unchanged)"
CASE = re.compile(
    r"# (?P<name>[^\n]*)\n(?P<about>.*?)sql:\n(?P<sql>.*?)\nbefore:\n(?P<before>.*?)\nafter:\n(?P<after>.*)", re.S
)


@dataclass(frozen=True, slots=True)
class Keys(NoStatistics):
    """Tables whose every column is a key, or none of whose is declared one."""

    declared: bool

    def unique(self, source: Source, columns: frozenset[str]) -> bool:
        return self.declared

    def rereadable(self, source: Source) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Learnt(NoStatistics):
    """Shares of TRUE by call site."""

    shares: dict[str, float]

    def selectivity(self, call: SemanticCall, below: Plan | None = None) -> Figure | None:
        share = self.shares.get(call.site)
        return None if share is None else Figure(share, "earlier queries")


@dataclass(frozen=True)
class Case:
    """One case of a file."""

    name: str
    about: str
    sql: str
    before: str
    after: str

    def order(self, file: Path) -> tuple[str, ...]:
        stated = re.search(r"^order: (.*)$", self.about, re.M)
        if stated:
            return tuple(word.strip() for word in stated[1].split(","))
        return ORDER if file.stem == "pipeline" else (file.stem,)

    def context(self) -> Context:
        capabilities = Capabilities(prefix_cache="model: prefix cache\n" in self.about)
        settings = Settings(**dict(re.findall(r"^set: (\w+) = (.*)$", self.about, re.M)))
        keys = re.search(r"^keys: (.*)$", self.about, re.M)
        known = NoStatistics() if keys is None else Keys(keys[1] == "declared")
        line = re.search(r"^candidates: (.*)$", self.about, re.M)
        candidates = tuple(line[1].split(", ")) if line else ()
        return Context(settings, lambda _: capabilities, Learnt(self.learnt) if self.learnt else known, candidates)

    @property
    def learnt(self) -> dict[str, float]:
        """Shares by call site."""
        line = re.search(r"^learnt: (.*)$", self.about, re.M)
        return {site: float(share) for site, share in re.findall(r"([^\s,]+) ([\d.]+)", line[1])} if line else {}

    def text(self) -> str:
        return f"# {self.name}\n{self.about}sql:\n{self.sql}\nbefore:\n{self.before}\nafter:\n{self.after}\n"


def cases(file: Path) -> list[Case]:
    blocks = re.split(r"^(?=# )", file.read_text(), flags=re.M)[1:]
    matches = [CASE.fullmatch(block.rstrip()) for block in blocks]
    assert all(matches), f"{file.name}: {blocks[matches.index(None)]}" if None in matches else ""
    return [Case(**m.groupdict()) for m in matches if m]


def actual(case: Case, file: Path) -> Case:
    """The case with the trees that come out now; its rows and questions must agree before and after."""
    with database() as connection:
        naive = naive_plan(case.sql, connection)
        optimized = optimize(naive, case.context(), order=case.order(file)).plan
        one, other = Evaluator(connection), Evaluator(connection, numbers=iter(range(1000, 2000)))
        assert one.rows(naive) == other.rows(optimized)
        assert case.learnt or not Counter(other.asked) - Counter(one.asked)
    after = UNCHANGED if optimized == naive else render(optimized)
    return replace(case, before=render(naive), after=after)


FILES = sorted(FOLDER.glob("*.slt"))
PAIRS = [pytest.param(file, case.name, id=f"{file.stem}: {case.name}") for file in FILES for case in cases(file)]


@pytest.mark.parametrize(("file", "name"), PAIRS)
def test_plan(file: Path, name: str) -> None:
    case = next(c for c in cases(file) if c.name == name)
    found = actual(case, file)
    if os.environ.get("UPDATE"):
        file.write_text("\n".join((found if c.name == name else c).text() for c in cases(file)))
    else:
        assert (found.before, found.after) == (case.before, case.after)


@pytest.mark.parametrize("rule", sorted(all_rules()))
def test_every_rule_has_a_case_that_applies_and_one_that_does_not(rule: str) -> None:
    unchanged = [c.after == UNCHANGED for c in cases(FOLDER / f"{rule}.slt")]
    assert any(unchanged)
    assert not all(unchanged)


def test_the_pipeline_runs_every_rule() -> None:
    assert sorted(ORDER) == sorted(all_rules())
