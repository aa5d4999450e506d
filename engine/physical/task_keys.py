"""What statistics are kept by: the task of a call, where its inputs come from, and which filters had left the rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ...optimizer.paths import answers, path
from ...udfs.models.base import ModelSpec
from ..plan.nodes import Call, Filter, Plan, Relation, SemanticCall, Source
from ..plan.render import nodes_with_paths
from ..plan.walk import walk

ASIDE = frozenset({"model", "on_error", "cache", "timeout"})
"""Options that decide nothing of what is asked."""
ABOUT_CHARS = 80

Find = Callable[[str], ModelSpec]
"""A model's entry in the catalogue, by name."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where a call stands in a plan.

    Parameters
    ----------
    data : digest of what its inputs are read from. below : what feeds it; ``None``: it stays in the user's text.
    """

    call: SemanticCall
    data: str
    below: Plan | None


def sites(plan: Plan) -> Iterator[Site]:
    """Every call of a plan, those in the text of a Relation included."""
    for _, node in nodes_with_paths(plan):
        if isinstance(node, Call):
            yield Site(node.call, data_key(node.call, node.input), node.input)
        elif isinstance(node, Relation):
            yield from (Site(call, data_key(call, node), None) for call in node.embedded)


def task_key(call: SemanticCall, spec: ModelSpec) -> str:
    """Of what is asked and who is asked: the function, the instruction (however it is spaced), the type of the answer, the
    options that a prompt depends on, rows in a prompt, and the model. Prices are no part of a model."""
    options = sorted((name, repr(value)) for name, value in call.options.items() if name not in ASIDE)
    model = sorted((n, repr(v)) for n, v in spec.options.items() if not n.startswith("price"))
    constants = [_spaced(constant) for constant in call.constants]
    return digest(
        call.function, constants, call.output.type, call.argument_types, options, spec.name, spec.provider, model
    )


def compared_as(call: SemanticCall, arm: str) -> str:
    """An arm, by its name, as statistics have it: agreement with labels is another number than with the reference's answers."""
    return arm if call.truth is None else call.truth.arm(arm)


def together(members: Sequence[SemanticCall]) -> SemanticCall:
    """Several calls in one prompt, as a call that statistics can be kept of."""
    asked = (constant for call in members for constant in (*call.constants, (call.output.type,)))
    function = " + ".join(call.function for call in members)
    return replace(members[0], function=function, constants=tuple(asked), arms=None, merge=None)


def data_key(call: SemanticCall, below: Plan) -> str:
    """Of the tables that the inputs are read from, and of the user's words for the inputs. Conditions are no part of it:
    other rows of a table are much like those that are known."""
    sources = [(n.prelude, n.from_sql) if isinstance(n, Source) else "" for n in walk(below) if not _between(n)]
    return digest(
        sources, [text for text, value in zip(call.argument_texts, call.constants, strict=False) if not _given(value)]
    )


def thinned_by(below: Plan | None, find: Find) -> str:
    """Of the semantic filters that rows have passed; "": of none."""
    if below is None:
        return ""
    made = {n.call.output.name: n.call for n in path(below) if isinstance(n, Call)}
    passed = [_condition(n, made, find) for n in path(below) if isinstance(n, Filter) and _asks(n)]
    return ",".join(sorted(set(passed)))


def about(call: SemanticCall) -> str:
    """The instruction, for people."""
    words = " · ".join(_spaced(c) for c in call.constants if isinstance(c, str))
    return words if len(words) <= ABOUT_CHARS else f"{words[: ABOUT_CHARS - 1]}…"


def digest(*parts: object) -> str:
    """Short, and the same in every process."""
    return hashlib.blake2b(repr(parts).encode(errors="surrogatepass"), digest_size=12).hexdigest()


def _asks(node: Filter) -> bool:
    return bool(node.predicate.uses & answers(node.input))


def _condition(node: Filter, made: Mapping[str, SemanticCall], find: Find) -> str:
    sql = node.predicate.sql
    for name in sorted(node.predicate.uses & made.keys(), key=len, reverse=True):
        sql = sql.replace(name, task_key(made[name], find(str(made[name].options["model"]))))
    return digest(sql)


def _between(node: Plan) -> bool:
    return not isinstance(node, Source | Relation)


def _given(value: object) -> bool:
    return repr(value) != "DYNAMIC"


def _spaced(constant: object) -> str:
    return " ".join(constant.split()) if isinstance(constant, str) else repr(constant)
