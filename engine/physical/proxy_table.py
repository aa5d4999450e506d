"""``SHOW PROXIES``: what each learnt, and what its test says of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import pyarrow as pa

from ...optimizer.cascades.tested import agreement, proven_share
from ..store.proxies import StoredProxy
from .cascading.named import tested

DELTA = 0.1
"""Of the interval, and of the certificates."""
TARGETS = (0.95, 0.9)
"""Accuracies of which the table says for which share of rows they are proved."""
NONE = "-"
_SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("function", pa.string()),
        ("instruction", pa.string()),
        ("reference", pa.string()),
        ("training_rows", pa.int64()),
        ("hold_out_rows", pa.int64()),
        ("agreement", pa.float64()),
        ("agreement_low", pa.float64()),
        ("agreement_high", pa.float64()),
        ("certificate", pa.string()),
        ("embeddings", pa.string()),
        ("bytes", pa.int64()),
        ("created_at", pa.timestamp("us", tz="UTC")),
    ]
)


def proxies_table(proxies: Iterable[StoredProxy]) -> pa.Table:
    """A row each. Agreement is with the reference's answers to the hold-out, which the proxy never learnt from."""
    return pa.Table.from_pylist([_row(proxy) for proxy in proxies], schema=_SCHEMA)


def _row(proxy: StoredProxy) -> dict[str, object]:
    low, high = agreement(proxy.agreed, proxy.hold_out, DELTA)
    return {
        "name": proxy.name,
        "function": proxy.function,
        "instruction": proxy.words,
        "reference": proxy.reference,
        "training_rows": proxy.training,
        "hold_out_rows": proxy.hold_out,
        "agreement": proxy.agreed / proxy.hold_out,
        "agreement_low": low,
        "agreement_high": high,
        "certificate": _certificate(proxy),
        "embeddings": proxy.embedded_by or NONE,
        "bytes": proxy.size,
        "created_at": datetime.fromtimestamp(proxy.created_at, UTC),
    }


def _certificate(proxy: StoredProxy) -> str:
    """For which share of rows it may answer alone, by accuracy of all rows together."""
    shares = {target: proven_share(*tested(proxy), target, DELTA) for target in TARGETS}
    return "; ".join(f"{target:g}: {share:.0%} of rows" for target, share in shares.items() if share) or NONE
