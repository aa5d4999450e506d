"""What a rewrite rule is: a name, one function, and whether it can change answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..engine.plan.nodes import Plan
from .context import Context

Rewrite = Callable[[Plan, Context], Plan | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rewrite the pipeline can name, switch off, time and blame.

    Parameters
    ----------
    name : as written in ``SET llm_disabled_rules`` and in the pipeline's order.
    apply : gives the rewritten plan, or ``None`` when there is nothing to do.
    changes_answers : the rows may differ from the naive plan's; such a rule needs a quality policy, or the setting that allows it.
    setting : whose value other than NULL allows it ("": the quality policy does).
    """

    name: str
    apply: Rewrite
    changes_answers: bool = False
    setting: str = ""
