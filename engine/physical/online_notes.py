"""EXPLAIN's lines about students that answer for a call."""

from __future__ import annotations

from collections.abc import Sequence

from ...optimizer.cascades.online.report import LevelReport, OnlineReport
from ..plan.nodes import SemanticCall
from ..plan.online import Online
from .operators.call_stage import OnlineCounts

LEVELS = {"hashed": "student of words", "embedded": "student of embeddings"}


def online_lines(call: SemanticCall, online: Online, met: int) -> list[str]:
    """What is said before a run. ``met`` : inputs that students have seen in earlier ones."""
    model = call.options["model"]
    names = [LEVELS["hashed"], *[LEVELS["embedded"]] * bool(online.embedding), *[online.small] * bool(online.small)]
    first = f"they have seen {met:,} inputs" if met else f"{model} answers the first hundreds"
    return [
        f"students: {', then '.join(names)} may answer rows as far as audits by {model} allow; {first}",
        f"quality: agreement with {model}, wanted on ≥ {online.target:.1%} of rows",
    ]


def noted(report: OnlineReport, counts: OnlineCounts, online: Online, model: str) -> dict[str, str]:
    """What is said after a run: of the run, and of all rows since the task was first seen."""
    lines = {
        "students": f"answered {counts.students:,} inputs of this run, {model} {counts.reference:,}",
        "quality": _quality(report, online, model),
        "audits": f"{report.audits:,}, which found {report.contradicted:,} answers of students that {model} contradicts",
    }
    lines |= {_name(level, online): _level(level) for level in report.levels}
    if report.fifths:
        lines[f"asked of {model}, by fifths"] = ", ".join(f"{share:.0%}" for share in report.fifths)
    if report.alarms:
        lines["drift"] = (
            f"alarm after {_listed(report.alarms)} rows: everything was doubted again until it had proved itself"
        )
    return lines


def _quality(report: OnlineReport, online: Online, model: str) -> str:
    low, high = report.interval
    return (
        f"agreement with {model}, about {report.agreement:.1%} of all {report.rows:,} inputs so far, "
        f"surely {low:.1%} to {high:.1%} (δ = 0.05; wanted: {online.target:.1%})"
    )


def _name(level: LevelReport, online: Online) -> str:
    return LEVELS.get(level.level, online.small)


def _level(level: LevelReport) -> str:
    if not level.acted:
        return "was never sure enough"
    agreed = f"agreed in {level.agreement:.1%} of {level.audited:,} audits" if level.audited else "no audit yet"
    return f"was sure of {level.acted:,}; {agreed}, lower bound {level.lower:.1%}"


def _listed(rows: Sequence[int]) -> str:
    return ", ".join(f"{row:,}" for row in rows)
