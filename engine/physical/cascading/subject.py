"""What a proxy is asked: the words of a call that rows are compared with, and what it may answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ....udfs.prompts.inputs import input_names
from ....udfs.prompts.template import instruction
from ....udfs.spec import DYNAMIC
from ...plan.nodes import SemanticCall

FILTER, CLASSIFY = "LLM_FILTER", "LLM_CLASSIFY"
FUNCTIONS = (FILTER, CLASSIFY)
"""Whose answers are of a set that is known beforehand: they can be learnt."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A call as a proxy sees it.

    Parameters
    ----------
    function : canonical name. words : the instruction, or the labels, for people.
    anchors : the instruction, or each label with its description: what inputs may be alike. (): each row brings its own.
    labels : that it may answer; (): TRUE and FALSE. inputs : how many a row has.
    """

    function: str
    words: str
    anchors: tuple[str, ...]
    labels: tuple[str, ...]
    inputs: int


def subject_of(call: SemanticCall) -> Subject | None:
    """The call's; ``None``: its answers are not of a set that is known beforehand, so nobody can learn them."""
    inputs = sum(value is DYNAMIC for value in call.constants)
    if call.function == FILTER:
        return _of_filter(call, inputs)
    if call.function == CLASSIFY and not call.options.get("multi") and call.constants[1] is not DYNAMIC:
        described = _described(call.constants[1])
        anchors = tuple(f"{label}: {words}" if words else label for label, words in described.items())
        return Subject(call.function, ", ".join(described), anchors, tuple(described), inputs)
    return None


def _of_filter(call: SemanticCall, inputs: int) -> Subject:
    if call.constants[0] is DYNAMIC:
        return Subject(call.function, call.argument_texts[0], (), (), inputs)
    texts = call.argument_texts[1:]
    words = instruction(str(call.constants[0]), input_names(texts), texts)
    return Subject(call.function, words, (words,), (), inputs)


def _described(declared: Sequence[Any] | Mapping[str, Any]) -> dict[str, str]:
    pairs = declared.items() if isinstance(declared, Mapping) else ((name, "") for name in declared)
    return {str(name).strip(): str(words or "").strip() for name, words in pairs}
