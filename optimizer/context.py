"""What rules may ask about the world: settings, models, statistics. Frozen: a rule cannot leave anything behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ..engine.plan.nodes import SemanticCall, Source
from ..engine.settings import Settings
from ..udfs.models.base import Capabilities
from .search.policy import Policy


@dataclass(frozen=True, slots=True)
class Measured:
    """A number and where it comes from, in words that EXPLAIN prints."""

    value: float
    source: str


class Statistics(Protocol):
    """What earlier queries and the database's constraints taught. ``None`` always means: not known."""

    def selectivity(self, call: SemanticCall) -> Measured | None:
        """Share (0..1) of asked rows for which this BOOLEAN call said TRUE."""
        ...

    def tokens_out(self, call: SemanticCall) -> Measured | None:
        """Mean output tokens of one such call."""
        ...

    def unique(self, source: Source, columns: frozenset[str]) -> bool:
        """Whether no two rows of ``source`` agree in all of ``columns`` (a declared key, not a guess)."""
        ...

    def rereadable(self, source: Source) -> bool:
        """Whether reading ``source`` twice within a statement gives the same rows."""
        ...

    def of_session(self, sql: str) -> bool:
        """Whether an expression means something on the user's connection alone (a macro, a sequence)."""
        ...


@dataclass(frozen=True, slots=True)
class NoStatistics:
    """Knows nothing.

    >>> from anserdb.engine.plan.nodes import Source
    >>> NoStatistics().unique(Source("", "t", ()), frozenset())
    False
    """

    def selectivity(self, call: SemanticCall) -> Measured | None:
        """Not known."""
        del call
        return None

    def tokens_out(self, call: SemanticCall) -> Measured | None:
        """Not known."""
        del call
        return None

    def unique(self, source: Source, columns: frozenset[str]) -> bool:
        """Never claimed."""
        del source, columns
        return False

    def rereadable(self, source: Source) -> bool:
        """Never claimed."""
        del source
        return False

    def of_session(self, sql: str) -> bool:
        """Not known to."""
        del sql
        return False


def default_capabilities(model: str) -> Capabilities:
    """What is assumed of a model nobody has opened yet."""
    del model
    return Capabilities()


@dataclass(frozen=True, slots=True)
class Context:
    """Everything a rule may look at besides the plan.

    Parameters
    ----------
    settings : the connection's.
    capabilities : by model name. candidates : models that may answer for others, where answers may change.
    statistics : oracle; :class:`NoStatistics` when nothing has been measured.
    """

    settings: Settings
    capabilities: Callable[[str], Capabilities] = default_capabilities
    statistics: Statistics = NoStatistics()
    candidates: tuple[str, ...] = ()

    @property
    def policy(self) -> Policy:
        """What the user wants of a plan."""
        s = self.settings
        return Policy(s.llm_objective, s.llm_min_quality, s.llm_max_cost_usd, s.llm_max_seconds)
