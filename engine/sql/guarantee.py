"""``guarantee := 'accuracy >= 0.95', delta := 0.05, proxy := 'small'``: a promise about a call's answers, checked when it is bound."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import BindError, Position
from ..plan.cascade import Cascade, Guarantee, ProxyKind
from ..types import BOOLEAN, VARCHAR, SqlType
from ..types.promise import read_promise
from .catalog import Catalog
from .common_options import common_options
from .locate import LocatedCall, position
from .tokens import Range, Text

if TYPE_CHECKING:
    from .bind_call import BoundCalls

OPTIONS = ("guarantee", "delta", "proxy")
KINDS: Mapping[str, ProxyKind] = {"model": "model", "embedding": "embedding", "student": "student"}
"""What ``proxy :=`` may say beside the name of a model, or of a proxy that CREATE PROXY made."""
SCORES = frozenset({"float", "double", "decimal", "boolean"}) | {
    f"{sign}{size}int" for sign in ("", "u") for size in ("tiny", "small", "big", "huge")
} | {"integer", "uinteger"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Promise:
    """A promise without its place in a plan.

    Parameters
    ----------
    proxy, name : as in ``Cascade``. score : where the expression stands that is the proxy.
    """

    guarantee: Guarantee
    proxy: ProxyKind = "model"
    name: str = ""
    score: Range | None = None

    def cascade(self, column: str = "") -> Cascade:
        """With the plan column that holds the score."""
        return Cascade(self.guarantee, self.proxy, self.name, column)


def guarantee_of(targets: Mapping[str, float]) -> Guarantee:
    """Of targets by metric, as ``read_promise`` gives them."""
    return Guarantee(**targets)


def score_of(text: Text, located: LocatedCall) -> Range | None:
    """Where the expression stands that is the call's proxy; ``None``: it has none, or the proxy is given by its name."""
    where = located.options.get("proxy")
    if where is None or (where.hi - where.lo == 1 and text.tokens[where.lo].quoted and text.word(where.lo)[:1] != '"'):
        return None
    return where


def constants_of(text: Text, located: LocatedCall) -> list[Range]:
    """Where the values of the call's options stand that read no column."""
    score = score_of(text, located)
    return [where for where in located.options.values() if where != score]


def refuse_promise(text: Text, located: LocatedCall, name: str) -> None:
    """Say of whom a promise can be made, where one is asked of somebody else.

    Raises
    ------
    BindError : the option is one of :data:`OPTIONS`.
    """
    if name in OPTIONS:
        where = located.options[name]
        raise BindError(
            f"{located.function.sql_name} takes no {name}: a guarantee counts answers that are the reference's or are not, so it is "
            "of LLM_FILTER and of LLM_CLASSIFY with one label a row. Leave it out here, or ask a yes-or-no question.",
            position(text, Range(where.lo - 2, where.lo - 1)),
            name,
        )


def promise_of(
    text: Text,
    located: LocatedCall,
    given: Mapping[str, Any],
    options: Mapping[str, Any],
    result: SqlType,
    catalog: Catalog,
) -> Promise | None:
    """What a call promises; ``None``: nothing by itself.

    Parameters
    ----------
    given : the values of those :data:`OPTIONS` that are constants. options : the call's others. result : the type of an answer.

    Raises
    ------
    BindError : the promise, or who is to answer under it, does not fit the call.
    """
    own = {name: located.options[name] for name in OPTIONS if name in located.options}
    if not own:
        _check_setting(located, catalog)
        return None
    _check_call(text, located, options, result)
    guarantee = _guarantee(text, located, given, catalog)
    if result != BOOLEAN and guarantee.accuracy is None:
        raise _error(
            text,
            located,
            "guarantee",
            f"LLM_CLASSIFY gives labels, and {guarantee.words.partition(' ')[0]} is of rows that are kept or not: promise accuracy, "
            "or ask LLM_FILTER",
        )
    score = score_of(text, located)
    if score is not None:
        return Promise(guarantee, "expression", score=score)
    if "proxy" not in given:
        return Promise(guarantee)
    kind, name = named_proxy(given["proxy"], str(options["model"]), catalog, position(text, own["proxy"]))
    return Promise(guarantee, kind, name)


def named_proxy(name: str, reference: str, catalog: Catalog, place: Position | None) -> tuple[ProxyKind, str]:
    """Which proxy a name means.

    Raises
    ------
    BindError : nobody is called so, or it is the reference itself, or it only embeds.
    """
    if name.casefold() in KINDS:
        return KINDS[name.casefold()], ""
    if name.casefold() == reference.casefold():
        message = (
            f"The proxy {name} is the model that the call asks anyway: name a cheaper one, 'embedding' or 'student'."
        )
        raise BindError(message, place, name)
    return _existing(name, catalog, place)


def _existing(name: str, catalog: Catalog, place: Position | None) -> tuple[ProxyKind, str]:
    """Models go before proxies. Raises BindError: there is neither of that name, or it only embeds."""
    try:
        generates = catalog.capabilities(name).generates
    except BindError as unknown:
        made = {proxy.name.casefold(): proxy.name for proxy in catalog.proxies()}
        if name.casefold() in made:
            return "named", made[name.casefold()]
        near = difflib.get_close_matches(name, [*KINDS, *made.values()], n=2) or list(unknown.candidates)
        raise BindError(
            f"There is no proxy {name}: SHOW MODELS lists models, SHOW PROXIES those made with CREATE PROXY; 'embedding' and 'student' "
            "need no name. A score is an expression without quotes.",
            place,
            name,
            near,
        ) from None
    if not generates:
        raise BindError(
            f"{name} only embeds, and answers nothing: as a proxy it is 'embedding' or 'student'.", place, name
        )
    return "model", name


def _check_setting(located: LocatedCall, catalog: Catalog) -> None:
    """Raises BindError: ``llm_guarantee_proxy`` names nobody, and ``llm_guarantee`` would need it."""
    settings = catalog.settings
    takes = any(option.name == OPTIONS[0] for option in common_options(located.function))
    if takes and settings.llm_guarantee is not None and settings.llm_guarantee_proxy.casefold() not in KINDS:
        _existing(settings.llm_guarantee_proxy, catalog, None)


def check_score(kind: SqlType, result: SqlType, place: Position) -> None:
    """Whether an expression of a type can stand in for a call that gives another.

    Raises
    ------
    BindError : it is no score of TRUE, or no label with how sure it is.
    """
    if result == BOOLEAN and kind.kind not in SCORES:
        message = f"A proxy of LLM_FILTER is a number, the higher the likelier TRUE (or a BOOLEAN), and this expression is {kind}."
        raise BindError(message, place, "proxy")
    if result != BOOLEAN and not _is_judged(kind):
        raise BindError(
            f"A proxy of LLM_CLASSIFY is a STRUCT of a label and how sure it is, {{label: …, confidence: …}}, and this expression is {kind}.",
            place,
            "proxy",
        )


def embedded_notices(calls: BoundCalls, why: str) -> tuple[str, ...]:
    """What is said of promises in a statement that is not planned: they are kept by asking the reference alone."""
    numbered = enumerate((calls[start] for start in sorted(calls)), 1)
    return tuple(
        f"{number}:{bound.located.function.sql_name}: {bound.promise.guarantee.words} holds because {bound.options['model']} answers "
        f"every row: {why}."
        for number, bound in numbered
        if bound.promise is not None
    )


def _is_judged(kind: SqlType) -> bool:
    fields = [field for _, field in kind.fields] if kind.kind == "struct" else []
    return len(fields) == 2 and fields[0] == VARCHAR and fields[1].kind in SCORES


def _check_call(text: Text, located: LocatedCall, options: Mapping[str, Any], result: SqlType) -> None:
    """Whether single answers of a call are the reference's or not, and nothing else is wanted of them."""
    reason = ""
    if result not in (BOOLEAN, VARCHAR):
        reason = f"it gives {result} here, and a guarantee counts rows with one answer. Leave multi out"
    elif options["on_error"] == "details":
        reason = "a failed row would be part of an answer that a proxy gives. Leave on_error := 'details' out"
    elif options.get("batch_rows", 1) != 1:
        reason = "answers of rows that share a prompt depend on their company. Leave batch_rows out"
    elif "labels" in located.options:
        reason = "labels are your own truth, and a guarantee is about the model's answers. Leave one of the two out"
    if reason:
        raise _error(text, located, "guarantee", f"{located.function.sql_name} cannot be guaranteed: {reason}")


def _guarantee(text: Text, located: LocatedCall, given: Mapping[str, Any], catalog: Catalog) -> Guarantee:
    """That of the call, or of ``llm_guarantee`` for a call that says only who answers, or how likely it may fail."""
    targets = given.get("guarantee")
    if targets is None:
        setting = catalog.settings.llm_guarantee
        if setting is None:
            (name, *_) = (name for name in OPTIONS if name in located.options)
            message = f"{name} says how a guarantee is kept, and there is none: add guarantee := 'accuracy >= 0.95', or SET llm_guarantee"
            raise _error(text, located, name, message)
        targets = {key: value for key, value in read_promise(setting).items() if key != "delta" or "delta" not in given}
    if "delta" in given and targets.get("delta", given["delta"]) != given["delta"]:
        raise _error(
            text, located, "delta", "delta is given twice, in the guarantee and beside it, with different values"
        )
    delta = {"delta": given["delta"]} if "delta" in given else {}
    return guarantee_of({**targets, **delta})


def _error(text: Text, located: LocatedCall, name: str, message: str) -> BindError:
    where = next(located.options[n] for n in (name, *OPTIONS) if n in located.options)
    return BindError(f"{message}.", position(text, where), name)
