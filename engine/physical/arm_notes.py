"""EXPLAIN's lines about arms: which there are, and after a run what each has proved and who serves."""

from __future__ import annotations

from collections.abc import Iterator

from ...optimizer.search.chooser import FIRST_WAVE, Chooser
from ...optimizer.search.tally import Tally
from ..plan.nodes import SemanticCall
from .arm_costs import ArmCosts
from .operators.call_stage import Armed


def arm_lines(armed: Armed, call: SemanticCall, *, ran: bool) -> list[str]:
    """The lines of one call. ``ran``: rows have been answered."""
    assert call.arms is not None
    goal = "cheapest" if call.arms.objective == "cost" else "fastest"
    allowed = f"agreement ≥ {1 - call.arms.loss:.0%} with {armed.names[0]}"
    shared = "" if call.arms.sites == 1 else f" over {call.arms.sites} calls together"
    head = f"arms: the {goal} that proves {allowed}{shared} answers; first compared on {FIRST_WAVE} rows or more"
    if not ran:
        return [head, f"arms: {'; '.join(armed.names[1:])}"]
    chooser = armed.chooser
    return [head, *_arms(armed, chooser), *(f"arms: {note}" for note in chooser.notes)]


def _arms(armed: Armed, chooser: Chooser) -> Iterator[str]:
    for arm, name in enumerate(armed.names):
        serves = " serves" if chooser.serving == arm else ""
        repeats = isinstance(armed.costs, ArmCosts) and armed.costs.repeats(arm)
        proof = "; out: it puts no question of its own" if repeats else _proof(chooser, arm)
        yield f"arm {name}:{serves} rows={chooser.asked[arm]:,}{proof}"


def _proof(chooser: Chooser, arm: int) -> str:
    if not arm:
        return " (the reference)"
    tally: Tally = chooser.tallies[arm]
    earlier = f" and {tally.earlier.rows:,.0f} rows of earlier runs" if tally.earlier.rows else ""
    if not tally.rows:
        return f"; out: {tally.why}" if tally.why and earlier else ""
    agreed = f" agreed in {tally.mean():.1%} of {tally.rows:,} compared{earlier}"
    if not tally.why and tally.certified is not None and tally.certified.won():
        return f"{agreed}, which proves ≥ {chooser.target:.0%} (δ = {tally.certified.delta:.3g})"
    return agreed + (f"; out: {tally.why}" if tally.why else "; not proved")
