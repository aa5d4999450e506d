"""A statement that has been planned."""

from __future__ import annotations

from dataclasses import dataclass

from ...optimizer.context import NoStatistics, Statistics
from ...optimizer.pipeline import Optimized
from ..plan.nodes import Relation
from ..sql.stand_in import is_query
from ..sql.tokens import Text

_NOTHING = NoStatistics()


@dataclass(frozen=True, slots=True)
class Planned:
    """A semantic statement, optimized.

    Parameters
    ----------
    embedded : why its calls stay in the text ("" when they do not).
    written : the user's statement, where ``sql`` has relations in the place of system tables; "" under EXPLAIN.
    notices : what the user should know of the statement before it runs.
    statistics : what was known when it was planned. profiles : its calls are compared on some rows, instead of run.
    """

    sql: str
    naive: Relation
    optimized: Optimized
    embedded: str
    written: str = ""
    notices: tuple[str, ...] = ()
    statistics: Statistics = _NOTHING
    profiles: bool = False

    @property
    def plan(self) -> Relation:
        """The plan to run."""
        plan = self.optimized.plan
        assert isinstance(plan, Relation)
        return plan

    @property
    def returns_rows(self) -> bool:
        """Whether it is a query."""
        return bool(self.plan.columns) or (bool(self.plan.embedded) and is_query(Text(self.sql)))
