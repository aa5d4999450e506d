"""``PROFILE``: a query on its first rows, each of its calls answered by every arm; and what came of it as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from ...optimizer.context import Context
from ...optimizer.cost.figure import legible
from ...optimizer.pipeline import disabled
from ...optimizer.rules import merged_calls
from ...optimizer.rules.arms import arms
from ...optimizer.search.bounds import wilson
from ...optimizer.search.tally import Tally
from ..errors import NotSupportedError
from ..plan.nodes import Arms, Call, Condition, Conjunction, Demand, Filter, Plan, Relation, SemanticCall
from ..plan.walk import calls, transform_up, walk
from .arm_costs import ArmCosts
from .labels import has_label
from .merging import WayCosts
from .operators.call_stage import CallStage, Merging
from .operators.judged import Judged
from .stages import Stages

COLUMNS = pa.schema(
    [
        ("call", pa.string()),
        ("arm", pa.string()),
        ("rows", pa.int64()),
        ("agreement", pa.float64()),
        ("agreement_low", pa.float64()),
        ("agreement_high", pa.float64()),
        ("usd_per_row", pa.float64()),
        ("seconds_per_row", pa.float64()),
        ("kept", pa.float64()),
        ("f1", pa.float64()),
        ("note", pa.string()),
    ]
)
REFERENCE = "the reference: agreement is with it"
ALONE = "the reference; no other model may answer, or such answers cannot be compared"
SCREEN = "leaves candidates of the first rows: tried when the query runs, and compared there"


def with_arms(plan: Relation, context: Context) -> Relation:
    """The plan with every arm that its calls may have, alone and in one prompt, whatever the settings allow."""
    off = disabled(context.settings)
    allowed = {"llm_min_quality": context.settings.llm_min_quality or 0.5, "llm_objective": "cost"}
    permitted = replace(context, settings=context.settings.model_copy(update=allowed))
    apart = transform_up(plan, lambda node: node.input if isinstance(node, Conjunction | Condition) else None)
    alone = _with_calls(apart, lambda call: replace(call, merge=None, online=None))
    alone = arms(alone, permitted) or alone
    own = {node.call.output.name: node.call.arms for node in calls(alone)}
    grouped = alone if merged_calls.RULE.name in off else merged_calls.RULE.apply(alone, permitted) or alone
    found = _with_calls(grouped, lambda call: replace(call, arms=own[call.output.name] or _judged_alone(call)))
    assert isinstance(found, Relation)
    return found


def _judged_alone(call: SemanticCall) -> Arms | None:
    """Where nobody else may answer, labels still say what the call's own model is worth."""
    return None if call.truth is None else Arms((), "cost", 0.5, 1)


def _with_calls(plan: Plan, change: Callable[[SemanticCall], SemanticCall]) -> Plan:
    def visit(node: Plan) -> Plan | None:
        changed = change(node.call) if isinstance(node, Call) else None
        return replace(node, call=changed) if isinstance(node, Call) and changed is not None else None

    return transform_up(plan, visit)


def sampled(plan: Relation, rows: int) -> Relation:
    """The plan on the first rows of each source; where calls have labels, on the first that have one.

    Raises
    ------
    NotSupportedError : some of its calls stay in the text, where nobody can answer twice, or stop early.
    """
    inside = sum(len(node.embedded) for node in walk(plan) if isinstance(node, Relation))
    if inside:
        raise NotSupportedError(
            f"{inside} of the query's calls are asked from inside DuckDB (EXPLAIN says why), where models cannot be compared. "
            "PROFILE a query that has the call in its SELECT list or its WHERE."
        )

    def visit(node: Plan) -> Plan | None:
        if not isinstance(node, Call) or calls(node.input):
            return None
        labelled = has_label(node.input, plan)
        source = node.input if labelled is None else Filter(node.input, labelled)
        return replace(node, input=Demand(source, rows))

    limited = transform_up(plan, visit)
    assert isinstance(limited, Relation)
    return limited


class ProfileStages(Stages):
    """Every row is answered by all arms; the reference's answer is the row's."""

    compares = True


def profile_table(plan: Relation, stages: Stages) -> pa.Table:
    """What a profile measured: per call the reference, then its arms, the most agreeing first.

    Raises
    ------
    NotSupportedError : its calls have labels, and none for any of the rows.
    """
    made = {call.call.output.name: stages.stage(call.call) for call in calls(plan)}
    _check_labelled([stage.armed.judged for stage in made.values() if stage.armed and stage.armed.judged])
    rows = [legible(row) for stage in made.values() for row in _rows(stage)]
    rows += [legible(row) for group in stages.groups.values() for row in _rows_of_group(group)]
    return pa.Table.from_pylist(rows, schema=COLUMNS)


def _check_labelled(judged: Sequence[Judged]) -> None:
    if judged and not any(each.tally.rows for each in judged):
        tables = " or ".join(dict.fromkeys(each.truth.table for each in judged))
        raise NotSupportedError(
            f"No row of the query has a label in {tables}, so there is nothing to compare with. Inputs are found by their exact "
            "values: look at both with SELECT, or leave labels out to compare with the model that the query names."
        )


def _rows_of_group(group: Merging) -> Iterator[Mapping[str, Any]]:
    """One prompt for several calls, against each alone: all their answers together agree with the reference's, or they do not."""
    usd = group.costs.usd if isinstance(group.costs, WayCosts) else {}
    sites = " + ".join(stage.call.site for stage in group.ways[0].stages)
    tallies = group.chooser.tallies
    for arm in sorted(tallies, key=lambda arm: (-tallies[arm].mean(), arm)):
        way = group.ways[arm]
        if way.together:
            yield _Arm(way.stages[0], way.name, tallies[arm].rows, tallies[arm], "", None, usd.get(arm)).row(sites)


def _rows(stage: CallStage) -> Iterator[Mapping[str, Any]]:
    if stage.armed is None:
        done = stage.caller.progress.rows_done - stage.caller.progress.rows_null
        yield _Arm(stage, str(stage.call.options["model"]), done, None, ALONE).row()
        return
    armed, costs = stage.armed, stage.armed.costs
    usd = costs.usd if isinstance(costs, ArmCosts) else {}
    chooser, tallies = armed.chooser, armed.chooser.tallies
    judged = armed.judged
    if judged is None:
        kept = _kept_theirs(tallies) if chooser.boolean else None
        yield _Arm(stage, armed.names[0], chooser.asked[0], None, REFERENCE, kept, usd.get(0)).row()
    else:
        kept = _kept(judged.tally) if chooser.boolean else None
        note = f"the reference; {_against(judged)}"
        yield _Arm(stage, armed.names[0], chooser.asked[0], judged.tally, note, kept, usd.get(0)).row()
    told = [arm for arm in tallies if not (isinstance(costs, ArmCosts) and costs.repeats(arm))]
    for arm in sorted(told, key=lambda arm: (-tallies[arm].mean(), arm)):
        tally, made = tallies[arm], armed.stages[arm - 1]
        failed = made.caller.progress.failed
        notes = [*([f"{failed} rows failed"] if failed else []), *([_against(judged)] if judged else [])]
        notes += [*_written(made), *([SCREEN] if stage.call.top_k is not None else [])]
        note, kept = "; ".join(notes), _kept(tally) if chooser.boolean else None
        yield _Arm(made, armed.names[arm], tally.rows, tally, note, kept, usd.get(arm)).row(stage.call.site)


def _written(stage: CallStage) -> list[str]:
    """What an arm's model wrote, or why it wrote nothing; no other arm has any."""
    return [] if stage.written is None else [stage.written.expression or stage.written.note]


def _against(judged: Judged) -> str:
    return f"agreement is with {judged.truth.words}"


def _kept(tally: Tally) -> float | None:
    return tally.kept_mine / tally.rows if tally.rows else None


def _kept_theirs(tallies: Mapping[int, Tally]) -> float | None:
    seen = next((tally for tally in tallies.values() if tally.rows), None)
    return None if seen is None else seen.kept_theirs / seen.rows


@dataclass(frozen=True, slots=True)
class _Arm:
    stage: CallStage
    name: str
    rows: int
    tally: Tally | None
    note: str = ""
    kept: float | None = None
    estimated_usd: float | None = None

    def row(self, site: str = "") -> Mapping[str, Any]:
        agreed = self.tally if self.tally is not None and self.tally.rows else None
        low, high = (None, None) if agreed is None else wilson(agreed.agreed, agreed.rows)
        return {
            "call": site or self.stage.call.site,
            "arm": self.name,
            "rows": self.rows,
            "agreement": None if agreed is None else agreed.mean(),
            "agreement_low": low,
            "agreement_high": high,
            "usd_per_row": self._usd(),
            "seconds_per_row": self._seconds(),
            "kept": self.kept,
            "f1": None if agreed is None or self.kept is None else agreed.f1(),
            "note": self.note,
        }

    def _usd(self) -> float | None:
        """As billed; where others had asked, or answers were there already, or calls were made to calibrate, by prompts and the price list."""
        progress = self.stage.caller.progress
        if not self.rows:
            return None
        found = progress.cached or progress.shared or self.stage.screened is not None
        if found or progress.calibration or not progress.calls:
            return self.estimated_usd
        return None if progress.unpriced else progress.cost_usd / self.rows

    def _seconds(self) -> float | None:
        """Of service; ``None``: all answers were there already."""
        progress = self.stage.caller.progress
        size = self.stage.batching.size.most if self.stage.batching else 1
        return progress.model_seconds / progress.calls / size if progress.calls else None
