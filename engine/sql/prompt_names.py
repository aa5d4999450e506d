"""Prompts by name in calls: ``LLM_FILTER('@angry', body)`` or ``'@angry@2'`` stand for what ``CREATE PROMPT angry`` keeps.

Only a literal that is nothing but a reference, in the place of an instruction: a text that begins with ``@`` anywhere else
(a handle, an e-mail) is data.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import BindError, Position
from ..store import StoredPrompt

INSTRUCTIONS = frozenset({"condition", "instruction", "instructions", "prompt", "question"})
"""Parameters and options that are words for the model, by their names."""
NAME = re.compile(r"[^\s@'\"]+")
_REFERENCE = re.compile(r"@([^\s@'\"]+)(?:@([0-9]+))?")


def with_prompt(value: Any, parameter: str, where: Position, prompts: Callable[[], Sequence[StoredPrompt]]) -> Any:
    """The instruction itself, where a constant refers to a prompt; any other value as it is.

    Parameters
    ----------
    parameter : the name of the parameter or option that the constant stands for. prompts : gives every version of each.

    Raises
    ------
    BindError : there is no prompt of that name, with the nearest, or no such version, with those there are.
    """
    found = _REFERENCE.fullmatch(value) if isinstance(value, str) and parameter in INSTRUCTIONS else None
    if found is None:
        return value
    name, version = found[1], found[2]
    known = prompts()
    versions = [p for p in known if p.name.lower() == name.lower()]
    if not versions:
        near = difflib.get_close_matches(name, {p.name for p in known}, n=2)
        message = f"There is no prompt {name}. SHOW PROMPTS lists them; CREATE PROMPT {name} AS '…' adds it."
        raise BindError(message, where, name, [f"'@{n}'" for n in near])
    for prompt in versions:
        if prompt.version == int(version) if version else prompt.current:
            return prompt.text
    there = ", ".join(str(p.version) for p in sorted(versions, key=lambda p: p.version))
    raise BindError(f"Prompt {name} has no version {version}; it has {there}.", where, f"{name}@{version}")


def referred(sql: str, prompts: Sequence[StoredPrompt]) -> dict[str, int]:
    """The newest versions of the prompts that a statement may refer to, by name."""
    names = {found[1].lower() for found in _REFERENCE.finditer(sql)}
    return {p.name: p.version for p in prompts if p.current and p.name.lower() in names}
