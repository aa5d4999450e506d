"""EXPLAIN's lines about guarantees: what is promised, against whom, what it is expected to take, and after a run the certificate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...optimizer.cascades.certificate import Certificate
from ..dataflow.certificates import IssuedCertificate
from ..plan.cascade import Cascade
from ..plan.nodes import Plan, SemanticCall
from .expected_cascade import ExpectedCascade
from .promises import PER_OPERATOR, guaranteed, query_certificate, scope_of


def promise_lines(call: SemanticCall, expected: ExpectedCascade | None) -> Iterator[str]:
    """What is promised of a call, and what that will take, as far as its rows are known."""
    if call.cascade is None:
        return
    model, by = str(call.options["model"]), proxy_words(call.cascade)
    yield (
        f"guarantee: {call.cascade.guarantee.words}, of agreement with {model} over the rows that it is asked about; {by} answers the rows "
        "of which a sample proves that it may"
    )
    if expected is not None:
        yield f"guarantee: expected: {expected.words(model)}"


def certificate_notes(issued: Sequence[IssuedCertificate], site: str) -> Iterator[str]:
    """What a call has proved."""
    for each in issued:
        if each.site == site:
            yield from _proved(each, each.certificate)


def query_lines(issued: Sequence[IssuedCertificate], plan: Plan, *, ran: bool) -> list[str]:
    """What the promises are worth together; none without one."""
    if not guaranteed(plan):
        return []
    if not ran:
        scope = scope_of(plan)
        return [f"guarantee: {scope if scope == PER_OPERATOR else f'about {scope}'}"]
    found = query_certificate(issued, plan)
    return (
        ["certificate: none, for the query was not read to its end"]
        if found is None
        else [f"certificate: {found.words}"]
    )


def certificates_json(issued: Sequence[IssuedCertificate]) -> list[dict[str, Any]]:
    """For programs."""
    return [
        {
            "site": each.site,
            "function": each.function,
            "reference": each.reference,
            "proxy": each.proxy,
            "delta": each.certificate.guarantee.delta,
            "bounds": [
                {"metric": b.metric, "target": b.target, "certified": b.certified, "estimate": b.estimate}
                for b in each.certificate.bounds
            ],
            "rows": each.certificate.rows,
            "by_proxy": each.certificate.by_proxy,
            "by_reference": each.certificate.by_reference,
            "labels": each.certificate.labels,
            "method": each.certificate.method,
            "sample_digest": each.certificate.sample_digest,
            "reason": each.certificate.reason,
        }
        for each in issued
    ]


def proxy_words(cascade: Cascade) -> str:
    """Who the proxy is, for people.

    >>> from anserdb.engine.plan.cascade import Guarantee
    >>> proxy_words(Cascade(Guarantee(accuracy=0.9), "named", "p"))
    'proxy p'
    """
    match cascade.proxy:
        case "model":
            return cascade.name or "a cheap model"
        case "named":
            return f"proxy {cascade.name}"
        case "embedding":
            return "the likeness of embeddings"
        case "student":
            return "a student of its answers"
        case "expression":
            return "an expression"


def _proved(issued: IssuedCertificate, proved: Certificate) -> Iterator[str]:
    for bound in proved.bounds:
        yield (
            f"certificate: {bound.metric} ≥ {bound.target:g} asked for, ≥ {bound.certified:.4g} proved (δ = {proved.guarantee.delta:g}), "
            f"estimate {bound.estimate:.4g}; reference: {issued.reference}; proxy: {issued.proxy or 'none'}"
        )
    who = f"rows={proved.rows:,} by proxy={proved.by_proxy:,} by reference={proved.by_reference:,} labels={proved.labels:,}"
    if proved.reason:
        yield f"certificate: {who}; the reference answered every row: {proved.reason}"
    else:
        yield f"certificate: {who}; test: {proved.method}; sample: {proved.sample_digest}"
