"""Calls as other systems write them, rewritten as text into calls of ``LLM_*`` before anything else looks at them.

One file a system declares its forms; ``rewrite.py`` does the rewriting. See docs/adr/0009.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from .bigquery import DIALECT as BIGQUERY
from .databricks import DIALECT as DATABRICKS
from .flock import DIALECT as FLOCK
from .form import Dialect, Form
from .lotus import DIALECT as LOTUS
from .motherduck import DIALECT as MOTHERDUCK
from .own import DIALECT as OWN
from .snowflake import DIALECT as SNOWFLAKE

DIALECTS: tuple[Dialect, ...] = (SNOWFLAKE, BIGQUERY, DATABRICKS, MOTHERDUCK, FLOCK, LOTUS, OWN)
"""In the order in which they are asked whether a call has one of their forms."""


@cache
def forms() -> Mapping[str, tuple[tuple[Dialect, Form], ...]]:
    """Every form by each of its names."""
    found: dict[str, list[tuple[Dialect, Form]]] = {}
    for dialect in DIALECTS:
        for form in dialect.forms:
            for name in form.names:
                found.setdefault(name, []).append((dialect, form))
    return MappingProxyType({name: tuple(pairs) for name, pairs in found.items()})
