"""What the user wants of a plan, and the point of a frontier that is it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ...engine.errors import InfeasiblePlan
from .point import Point

Objective = Literal["quality", "cost", "time"]


@dataclass(frozen=True, slots=True)
class Policy:
    """An objective under constraints.

    Parameters
    ----------
    objective : what to make best. min_quality : agreement with the reference, at least; ``None``: answers may not change.
    max_cost_usd, max_seconds : caps on the estimate; ``None``: none. best_effort : take the nearest plan if none is feasible.
    """

    objective: Objective = "quality"
    min_quality: float | None = None
    max_cost_usd: float | None = None
    max_seconds: float | None = None
    best_effort: bool = False

    @property
    def may_change_answers(self) -> bool:
        """Whether rules and arms that can change answers are legal at all."""
        return self.min_quality is not None and self.min_quality < 1.0

    def choose(self, points: Sequence[Point]) -> Point:
        """The best feasible point.

        Raises
        ------
        InfeasiblePlan : there is none, and ``best_effort`` is off.
        """
        feasible = [point for point in points if self.violation(point) == 0.0]
        if feasible:
            return min(feasible, key=self.rank)
        nearest = min(points, key=lambda point: (self.violation(point), self.rank(point)))
        if self.best_effort:
            return nearest
        raise InfeasiblePlan(self._refusal(nearest))

    def violation(self, point: Point) -> float:
        """How far a point misses the constraints: the largest miss, as a share of the cap; 0 if it meets them."""
        misses = [0.0, (self.min_quality if self.min_quality is not None else 1.0) - point.quality]
        misses += [
            used / max(cap, 1e-12) - 1.0
            for used, cap in ((point.money, self.max_cost_usd), (point.seconds, self.max_seconds))
            if cap is not None
        ]
        worst = max(misses)
        return worst if worst > 1e-12 else 0.0

    def rank(self, point: Point) -> tuple[float, ...]:
        """The smaller, the better by the objective."""
        money, seconds, loss = point.money, point.seconds, point.loss
        match self.objective:
            case "cost":
                return (money, seconds, loss)
            case "time":
                return (seconds, money, loss)
            case "quality":
                return (loss, money, seconds)

    def _refusal(self, nearest: Point) -> str:
        wanted = [f"llm_min_quality = {self.min_quality:g}"] if self.min_quality is not None else []
        wanted += [f"llm_max_cost_usd = {self.max_cost_usd:g}"] if self.max_cost_usd is not None else []
        wanted += [f"llm_max_seconds = {self.max_seconds:g}"] if self.max_seconds is not None else []
        arms = ", ".join(f"{step.site} by {step.arm}" for step in nearest.steps)
        return (
            f"No plan meets {' and '.join(wanted)}. The nearest would cost ${nearest.money:,.4f} and take "
            f"{nearest.seconds:,.1f} s at quality {nearest.quality:.3f} ({arms}). Loosen a constraint, or "
            "SET llm_best_effort = true to run that plan."
        )
