"""EXPLAIN's lines about arms: which there are, and after a run what each has proved and who serves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...optimizer.search.chooser import FIRST_WAVE, Chooser
from ...optimizer.search.serving import Replan
from ...optimizer.search.tally import Tally
from ..plan.nodes import SemanticCall
from .arm_costs import ArmCosts
from .operators.call_stage import Armed, Written


def arm_lines(armed: Armed, call: SemanticCall, *, ran: bool) -> list[str]:
    """The lines of one call. ``ran``: rows have been answered."""
    assert call.arms is not None
    goal = "cheapest" if call.arms.objective == "cost" else "fastest"
    judged = armed.judged
    allowed = f"agreement ≥ {1 - call.arms.loss:.0%} with {armed.names[0] if judged is None else judged.truth.words}"
    shared = "" if call.arms.sites == 1 else f" over {call.arms.sites} calls together"
    whose, rows = (" answers", "rows") if judged is None else ("", "rows with a label")
    head = f"arms: the {goal} that proves {allowed}{shared}{whose}; first compared on {FIRST_WAVE} {rows} or more"
    if call.top_k is not None:
        head = (
            f"arms: the {goal} screen, where it is proved to leave ≥ {1 - call.arms.loss:.0%} of the first {call.top_k.rows:,} rows "
            f"by {armed.names[0]}, which scores the candidates, and a sample of the others (taking it that the screen loses the first "
            "rows no more often than those behind them)"
        )
    if not ran:
        return [head, f"arms: {'; '.join(name.removesuffix(';') for name in armed.names[1:])}"]
    chooser = armed.chooser
    notes = [f"arms: {note}" for note in chooser.notes]
    if asked := chooser.questions:
        phases = f"{asked['profile']:,} to compare, {asked['serve']:,} to serve, {asked['audit']:,} to audit"
        notes.insert(0, f"arms: {phases} (questions, cached ones among them)")
    return [head, *_arms(armed, chooser), *_labelled(armed), *notes, *_replans(armed.names, chooser.follows.replans)]


def _replans(names: Sequence[str], replans: Sequence[Replan]) -> Iterator[str]:
    if replans:
        yield f"re-plans: {len(replans)}"
    for replan in replans:
        yield f"re-plan: after {replan.row:,} rows {names[replan.taken]} serves in place of {names[replan.left]}: {replan.why}"


def _labelled(armed: Armed) -> Iterator[str]:
    """What labels say of the reference, and of how many questions."""
    if (judged := armed.judged) is None:
        return
    compared = judged.tally.rows
    agreed = (
        f" agrees in {judged.tally.mean():.1%} of {compared:,} rows with a label, {judged.verdict}" if compared else ""
    )
    yield f"quality: agreement with {judged.truth.words}; {armed.names[0]}{agreed or ' was compared with none of them'}"


def _arms(armed: Armed, chooser: Chooser) -> Iterator[str]:
    for arm, name in enumerate(armed.names):
        serves = " serves" if chooser.serving == arm else ""
        repeats = isinstance(armed.costs, ArmCosts) and armed.costs.repeats(arm)
        proof = "; out: it puts no question of its own" if repeats else _proof(chooser, arm)
        yield f"arm {name.removesuffix(';')}:{serves} rows={chooser.asked[arm]:,}{proof}"
        if arm and (written := armed.stages[arm - 1].written) is not None:
            yield from _written(name, written)


def _written(name: str, written: Written) -> Iterator[str]:
    """The expression, where the name does not have it, and what became of it."""
    if written.expression and written.expression not in name:
        yield f"arm {name}: {written.expression}"
    if written.expression and written.note:
        yield f"arm {name.removesuffix(';')}: {written.note} The reference is asked instead."


def _proof(chooser: Chooser, arm: int) -> str:
    if not arm:
        return " (the reference)"
    tally: Tally = chooser.tallies[arm]
    earlier = f" and {tally.earlier.rows:,.0f} rows of earlier runs" if tally.earlier.rows else ""
    if not tally.rows:
        return f"; out: {tally.why}" if tally.why else ""
    agreed = f" agreed in {tally.mean():.1%} of {tally.rows:,} compared{earlier}"
    if not tally.why and tally.certified is not None and tally.certified.won():
        return f"{agreed}, which proves ≥ {chooser.target:.0%} (δ = {tally.certified.delta:.3g})"
    return agreed + (f"; out: {tally.why}" if tally.why else "; not proved")
