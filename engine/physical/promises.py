"""What the promises of a query's calls are worth together: of what its result, and with which bound."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ...optimizer.cascades.certificate import Certificate
from ...optimizer.paths import answers
from ..dataflow.certificates import IssuedCertificate
from ..plan.nodes import Call, Compute, Demand, Filter, Keep, Plan, Relation, SemanticCall, Sort
from ..plan.walk import calls, children
from ..store.certificates import CertificateLine

PER_OPERATOR = "per operator only, no plan guarantee"
EVERY_ROW = "every row of the result"
WHICH_ROWS = "which rows are in the result"


@dataclass(frozen=True, slots=True)
class QueryCertificate:
    """What a query has proved of its answers.

    Parameters
    ----------
    calls : the certificate of each call under a guarantee. scope : what these are about, in words.
    wrong : answers of all of them together that differ from their references', at most, with probability 1 - ``delta``;
        ``None``: not all promise accuracy. delta : the sum of theirs.

    >>> QueryCertificate((), EVERY_ROW, None, 0.05).words
    'about every row of the result'
    """

    calls: tuple[IssuedCertificate, ...]
    scope: str
    wrong: int | None
    delta: float

    @property
    def words(self) -> str:
        """For people."""
        if self.scope != PER_OPERATOR:
            return f"about {self.scope}"
        if self.wrong is None or self.delta >= 1:
            return f"{PER_OPERATOR} (precision and recall do not compose)"
        return f"{PER_OPERATOR}; together at most {self.wrong:,} answers differ from their references' (δ = {self.delta:.3g})"


def query_certificate(issued: Sequence[IssuedCertificate], plan: Plan) -> QueryCertificate | None:
    """Of a query that has run; ``None``: nothing was promised."""
    if not issued:
        return None
    proved = [each.certificate for each in issued]
    lost = [_wrong(certificate) for certificate in proved]
    wrong = None if None in lost else sum(each or 0 for each in lost)
    return QueryCertificate(tuple(issued), scope_of(plan), wrong, sum(each.guarantee.delta for each in proved))


def certificate_lines(issued: Sequence[IssuedCertificate], plan: Plan, query_id: str) -> list[CertificateLine]:
    """What the store keeps of them: a line for each metric of each call."""
    now, scope = time.time(), scope_of(plan)
    return [
        CertificateLine(
            now, query_id, each.site, each.function, each.reference, each.proxy, bound.metric, bound.target,
            proved.guarantee.delta, bound.certified, bound.estimate, proved.rows, proved.by_proxy, proved.by_reference,
            proved.labels, proved.method, proved.sample_digest, proved.reason, scope,
        )
        for each in issued
        for proved in [each.certificate]
        for bound in proved.bounds
    ]  # fmt: skip


def guaranteed(plan: Plan) -> list[SemanticCall]:
    """The calls of a plan under a guarantee, in the order in which rows meet them."""
    return [node.call for node in calls(plan) if node.call.cascade is not None]


def scope_of(plan: Plan) -> str:
    """What the certificates of a plan are about. One call's is the plan's if nothing above it loses rows, or answers, by itself."""
    promised = guaranteed(plan)
    if len(promised) != 1:
        return PER_OPERATOR
    call = promised[0]
    if any(_lossy(node.call) for node in calls(plan)):
        return f"the rows that {call.site} is asked about; other calls may lose some by their own allowance"
    query = _query(plan)
    *above, _ = _way(query, call)
    found = [reason for node in above if (reason := _loses(node, call, query))]
    if found:
        return f"the rows that {call.site} is asked about; above it {found[-1]}"
    reads = any(isinstance(node, Filter) and call.output.name in node.predicate.uses for node in above)
    return WHICH_ROWS if reads else EVERY_ROW


def _wrong(certificate: Certificate) -> int | None:
    accuracy = next((bound.certified for bound in certificate.bounds if bound.metric == "accuracy"), None)
    # As many whole rows as the share allows: 0.05 of 219 are 10.
    return None if accuracy is None else int((1.0 - accuracy) * certificate.rows + 1e-9)


def _lossy(call: SemanticCall) -> bool:
    return any(mark is not None for mark in (call.arms, call.pairs, call.merge, call.online))


def _query(plan: Plan) -> Plan:
    """What a statement writes down, or the plan itself where it is a query."""
    writes = isinstance(plan, Relation) and not plan.columns and len(plan.inputs) == 1
    return plan.inputs[0].plan if writes and isinstance(plan, Relation) else plan


def _way(plan: Plan, call: SemanticCall) -> list[Plan]:
    """From the root down to the call."""
    if isinstance(plan, Call) and plan.call is call:
        return [plan]
    for child in children(plan):
        if below := _way(child, call):
            return [plan, *below]
    return []


def _loses(node: Plan, call: SemanticCall, root: Plan) -> str:
    """How the rows above are others than those below; "": they are the same, or those that the call keeps."""
    match node:
        case Filter():
            return _filtered(node, call)
        case Demand():
            return "LIMIT takes some"
        case Sort():
            return "LIMIT takes some" if node.limit is not None else ""
        case Relation():
            return _related(node, root)
        case Compute() | Keep() | Call():
            return ""
        case _:
            return "rows become others"


def _filtered(node: Filter, call: SemanticCall) -> str:
    own = frozenset({call.output.name})
    if not node.predicate.uses & answers(node.input):
        return "another condition drops rows"
    if node.predicate.uses & answers(node.input) - own:
        return "a condition on another call drops rows"
    accuracy = call.cascade is not None and call.cascade.guarantee.accuracy is not None
    return (
        "" if accuracy or node.predicate.sql == call.output.name else "a condition reads more than whether it is TRUE"
    )


def _related(node: Relation, root: Plan) -> str:
    if node is not root:
        return "another query reads them"
    if not node.rowwise:
        return "rows are grouped, or made distinct"
    return "LIMIT takes some" if node.limit is not None else ""
