"""What the search found, for people: EXPLAIN's lines, the table of SHOW FRONTIER, and the same for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from ...optimizer.cost.figure import legible
from ...optimizer.search.point import Point
from ..errors import NotSupportedError
from ..plan.nodes import Relation
from ..plan.walk import calls
from .estimates import Explained
from .search_plans import ArmFigures, Plans

FRONTIER = pa.schema(
    [
        ("plan", pa.int64()),
        ("order", pa.string()),
        ("arms", pa.string()),
        ("usd", pa.float64()),
        ("seconds", pa.float64()),
        ("quality", pa.float64()),
        ("quality_is", pa.string()),
        ("rows", pa.float64()),
        ("source", pa.string()),
        ("chosen", pa.bool_()),
    ]
)


def frontier_table(plans: Plans) -> pa.Table:
    """The plans that no other beats in everything, cheapest first, and the one that the settings choose.

    Raises
    ------
    NotSupportedError : there are none to compare, and why.
    """
    if plans.chosen is None:
        raise NotSupportedError(f"The query's plans cannot be compared: {plans.problem}.")
    points = {point.steps: point for point in (*plans.points, plans.chosen)}
    ranked = sorted(points.values(), key=lambda point: (point.money, point.seconds, point.loss))
    rows = [
        legible({"plan": number, **_figures(plans, point)})
        | {"source": plans.source, "chosen": point.steps == plans.chosen.steps}
        for number, point in enumerate(ranked, 1)
    ]
    return pa.Table.from_pylist(rows, schema=FRONTIER)


def with_plans(explained: Explained, plans: Plans) -> Explained:
    """EXPLAIN with the plan that is expected to serve, the best of the others, and what nobody has compared."""
    lines = list(plan_lines(plans))
    if not lines:
        return explained
    document = json.loads(explained.json) | {"search": _json(plans)}
    return Explained("\n".join([explained.text, "", *lines]), json.dumps(document, ensure_ascii=False, indent=2))


def has_plans(plan: Relation) -> bool:
    """Whether there may be more than one: other arms, or another order."""
    made = calls(plan)
    return len(made) > 1 or any(node.call.arms is not None for node in made)


def plan_lines(plans: Plans) -> Iterator[str]:
    """The lines; none where there is only one plan."""
    unmeasured = [f"{site} by {name}" for site, names in (plans.unmeasured or {}).items() for name in names]
    if plans.chosen is None or not (plans.others or unmeasured):
        return
    yield f"chosen: {described(plans, plans.chosen)}"
    for other in plans.others:
        yield f"rejected: {described(plans, other.point)}: {other.why}"
    if unmeasured:
        yield f"not measured: {'; '.join(unmeasured)} (PROFILE compares them, or the run's first rows)"


def described(plans: Plans, point: Point) -> str:
    """A plan in a line."""
    figures = [f"${point.money:,.4f}" if plans.priced else "cost unknown"]
    figures += [f"{point.seconds:,.1f} s"] if plans.timed else []
    figures += [_quality(plans, point)]
    return f"{', then '.join(f'{step.site} by {step.arm}' for step in point.steps)} ({', '.join(figures)})"


def _quality(plans: Plans, point: Point) -> str:
    """Of a plan whose own models nobody has compared with the user's labels there is nothing to say."""
    if plans.unknown:
        return f"quality not measured: {quality_of(plans, point)}"
    share = f"quality ≥ {point.quality:.1%}" if point.loss else "quality 100%"
    return f"{share}, {quality_of(plans, point)}" if plans.against else share


def quality_of(plans: Plans, point: Point) -> str:
    """What the quality of a plan is: agreement with whom, or with what."""
    figures = plans.figures or {}
    sites = (site for step in point.steps for site in step.site.split(" + "))
    whose = (plans.against.get(site) or _own_model(figures.get(site, ())) for site in sites)
    return f"agreement with {' and '.join(dict.fromkeys(filter(None, whose)))}"


def _own_model(arms: Sequence[ArmFigures]) -> str:
    return arms[0].name if arms else ""


def _figures(plans: Plans, point: Point) -> dict[str, Any]:
    return {
        "order": ", ".join(step.site for step in point.steps),
        "arms": "; ".join(f"{step.site} by {step.arm}" for step in point.steps),
        "usd": point.money if plans.priced else None,
        "seconds": point.seconds if plans.timed else None,
        "quality": None if plans.unknown else point.quality,
        "quality_is": quality_of(plans, point),
        "rows": point.rows,
    }


def _json(plans: Plans) -> dict[str, Any]:
    assert plans.chosen is not None
    return {
        "chosen": _figures(plans, plans.chosen),
        "rejected": [{**_figures(plans, other.point), "why": other.why} for other in plans.others],
        "not_measured": {site: list(names) for site, names in (plans.unmeasured or {}).items() if names},
        "source": plans.source,
    }
