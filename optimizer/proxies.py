"""Who can answer for a call under a guarantee."""

from __future__ import annotations

from ..engine.errors import BindError
from ..engine.plan.cascade import ProxyKind
from ..engine.sql.guarantee import KINDS
from .context import Context


def proxy_of(name: str, context: Context) -> tuple[ProxyKind, str]:
    """The proxy that a setting names: a kind, a model, or one that CREATE PROXY made.

    >>> from anserdb.engine.settings import Settings
    >>> proxy_of("student", Context(Settings())), proxy_of("tiny", Context(Settings()))
    (('student', ''), ('model', 'tiny'))
    """
    if name.casefold() in KINDS:
        return KINDS[name.casefold()], ""
    try:
        context.capabilities(name)
    except BindError:
        return "named", name
    return "model", name
