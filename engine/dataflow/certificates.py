"""A promise about a call's answers that a query has kept, and what it is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """The certificate of one call site in one query.

    Parameters
    ----------
    site, function : which call. reference : the model whose answers are the truth. proxy : who answered in its place.
    certificate : what was proved, an ``optimizer.cascades.certificate.Certificate`` (a layer above this one).
    """

    site: str
    function: str
    reference: str
    proxy: str
    certificate: Any
