"""EXPLAIN's lines about routed calls: who may answer, and after a run who did, as the policy learnt."""

from __future__ import annotations

from collections.abc import Iterator

from ...optimizer.routing.curve import Stretch
from ...optimizer.routing.router import Z
from ...optimizer.search.bounds import wilson
from .operators.call_stage import Routed


def routing_lines(routed: Routed, *, ran: bool) -> Iterator[str]:
    """The lines of one call. ``ran`` : rows have been answered."""
    site, router = routed.site, routed.router
    others = " or ".join(site.arms[1:])
    shared = "" if len(router.sites) == 1 else f" over {len(router.sites)} calls together"
    yield (
        f"routing: by the row, {others} or {site.arms[0]}; agreement ≥ {1 - router.room:.1%} with {site.arms[0]}{shared}, kept by a "
        "one-sided 97.5% bound of audited rows: an estimate, no proof"
    )
    if not ran or not site.curve.rows:
        return
    begin = 0
    for stretch in site.curve.stretches():
        yield f"routing: rows {begin + 1:,} to {begin + stretch.rows:,}: {_stretch(routed, stretch)}"
        begin += stretch.rows
    yield from _audits(routed)
    yield from _static(routed)
    yield from (f"routing: {alarm}" for alarm in site.alarms)


def _stretch(routed: Routed, stretch: Stretch) -> str:
    shares = ", ".join(f"{routed.site.arms[arm]} {share:.0%}" for arm, share in stretch.shares.items())
    relative = stretch.cost / unit if (unit := float(routed.site.costs[0])) else 1.0
    kept = f", {stretch.wrong:,.0f} of them not as the reference" if stretch.audits else ""
    return f"{shares}; cost {relative:.2f} of the reference's; {stretch.audits:,} audited{kept}"


def _audits(routed: Routed) -> Iterator[str]:
    audits, wrong = routed.site.curve.served
    if audits:
        low = 1.0 - wilson(wrong, audits, Z)[1]
        yield (
            f"routing: answers that were served agree in {1 - wrong / audits:.1%} of {audits:,} audited rows (≥ {low:.1%} by a one-sided "
            "97.5% bound)"
        )


def _static(routed: Routed) -> Iterator[str]:
    """What the best single arm would have done, by the audits: the reference alone, if no other keeps the quality."""
    site = routed.site
    unit = float(site.costs[0])
    if not site.audits.rows or not unit:
        return
    wrong = [0.0, *(float(share) for share in site.audits.wrong())]
    fits = [arm for arm, share in enumerate(wrong) if share <= routed.router.room]
    best = min(fits, key=lambda arm: (float(site.costs[arm]), arm))
    theirs, ours = float(site.costs[best]) / unit, site.curve.cost / site.curve.rows / unit
    yield (
        f"routing: regret {ours - theirs:+.2f} of the reference's cost a row, audits included, against {site.arms[best]} for every row, the "
        f"best fixed choice by {site.audits.rows:,} audits (cost {theirs:.2f}, agreement {1 - wrong[best]:.1%})"
    )
