"""A located call to a bound one: constants evaluated, options checked, the result type known."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb

from ...udfs.spec import DYNAMIC, Arguments, Parameter, SemanticFunction
from ..errors import BindError, Position
from ..types import BOOLEAN, VARCHAR, SqlType, details_type
from .catalog import Catalog
from .common_options import common_options
from .guarantee import OPTIONS, Promise, promise_of, refuse_promise, score_of
from .labels import check_labels
from .locate import LocatedCall, position
from .prompt_names import with_prompt
from .tokens import Range, Text
from .tried import with_try

# ``{{`` and ``}}`` are literal braces.
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{\s*([^\W\d]\w*(?:\.[^\W\d]\w*)?)\s*\}")

_FAULTS = (duckdb.ConversionException, duckdb.InvalidInputException, duckdb.OutOfRangeException)

_CONDITION = frozenset({"WHERE", "AND", "OR", "NOT", "ON", "WHEN", "HAVING", "QUALIFY"})


@dataclass(frozen=True, slots=True)
class BoundCall:
    """A call without its place in a plan.

    ``dynamic`` lists the positions evaluated per row; positions beyond the located arguments are columns that only a
    template names (``LLM_FILTER('{body} is rude')``). ``type`` is the result's. ``labels`` names a table with right answers, and
    ``promise`` is what is guaranteed of the answers; neither is part of what is asked.
    """

    located: LocatedCall
    arguments: Arguments
    dynamic: tuple[int, ...]
    type: SqlType
    options: Mapping[str, Any] = field(default_factory=dict)
    labels: str | None = None
    promise: Promise | None = None


BoundCalls = Mapping[int, BoundCall]
"""Calls of a statement by the token at which each starts."""


def bind_call(text: Text, located: LocatedCall, catalog: Catalog) -> BoundCall:
    """Check a call against its declaration.

    Raises
    ------
    BindError : too few or many arguments, a constant that is none, an unknown option, model or type.
    """
    function = located.function
    _check_count(text, located)
    options = with_try(text, located, _options(text, located, catalog))
    labels: str | None = options.pop("labels", None)
    promised = {name: options.pop(name) for name in OPTIONS if name in options}
    capabilities = _capabilities(text, located, catalog, options)
    constants = tuple(
        _constant(text, argument, parameter, catalog)
        for argument, parameter in zip(located.arguments, _parameters(function), strict=False)
    )
    texts = tuple(text.source(a) for a in located.arguments)
    named = template_columns(function, constants, texts)
    arguments = Arguments(
        constants=constants + (DYNAMIC,) * len(named),
        types=(VARCHAR,) * (len(constants) + len(named)),
        texts=texts + named,
        options=options,
    )
    try:
        function.lower(arguments, capabilities)
        result = function.returns(arguments, capabilities)
    except ValueError as error:
        raise BindError(_led(function, str(error)), _place_of_constants(text, located), function.sql_name) from None
    if labels is not None:
        check_labels(text, located, labels, result, catalog, details=options["on_error"] == "details")
    promise = promise_of(text, located, promised, options, result, catalog)
    if options["on_error"] == "details":
        _check_details(text, located, result)
        result = details_type(result)
    dynamic = tuple(i for i, value in enumerate(arguments.constants) if value is DYNAMIC)
    return BoundCall(located, arguments, dynamic, result, options, labels, promise)


def template_columns(function: SemanticFunction, constants: tuple[Any, ...], texts: tuple[str, ...]) -> tuple[str, ...]:
    """Columns that a literal template names in braces and that are not among the arguments, in order, once each."""
    if not (function.parameters[-1].variadic and isinstance(constants[0], str)):
        return ()
    given = {t.lower() for t in texts} | {t.rpartition(".")[2].lower() for t in texts}
    names = dict.fromkeys(filter(None, _PLACEHOLDER.findall(constants[0])))
    return tuple(name for name in names if name.lower() not in given)


def _parameters(function: SemanticFunction) -> list[Parameter]:
    """Positional parameters, the last repeated for ever if variadic."""
    parameters = list(function.parameters)
    if parameters and parameters[-1].variadic:
        parameters += [parameters[-1]] * 1000
    return parameters


def _check_count(text: Text, located: LocatedCall) -> None:
    function, given = located.function, len(located.arguments)
    required = sum(not (p.optional or p.variadic) for p in function.parameters)
    most = None if any(p.variadic for p in function.parameters) else len(function.parameters)
    if given < required or (most is not None and given > most):
        signature = ", ".join(
            f"{p.name}{'…' if p.variadic else ''}{'?' if p.optional else ''}" for p in function.parameters
        )
        raise BindError(
            f"{function.sql_name} takes ({signature}); {given} argument{' is' if given == 1 else 's are'} given.",
            position(text, located.whole),
            function.sql_name,
        )


def _options(text: Text, located: LocatedCall, catalog: Catalog) -> dict[str, Any]:
    function, settings = located.function, catalog.settings
    known = {o.name: o for o in (*common_options(function), *function.options)}
    model = settings.llm_model if function.model_kind == "generate" else settings.llm_embedding_model
    values: dict[str, Any] = {"model": model, "on_error": settings.llm_on_error, "cache": settings.llm_cache}
    for name, where in located.options.items():
        if name not in known:
            refuse_promise(text, located, name)
            near = difflib.get_close_matches(name, known, n=2)
            message = f"{function.sql_name} has no option {name}; it takes {', '.join(sorted(known))}."
            raise BindError(message, position(text, Range(where.lo - 2, where.lo - 1)), name, near)
        if name == "proxy" and score_of(text, located):
            continue
        value = _evaluate(text, where, catalog, f"option {name} of {function.sql_name}")
        value = with_prompt(value, name, position(text, where), catalog.prompts)
        try:
            values[name] = known[name].check(value)
        except (ValueError, TypeError) as error:
            message = f"{function.sql_name}: option {name} {str(error).rstrip('.')}"
            ended = message if message.endswith("?") else f"{message}."
            raise BindError(ended, position(text, where), name) from None
    return values


def _capabilities(text: Text, located: LocatedCall, catalog: Catalog, options: Mapping[str, Any]) -> Any:
    function = located.function
    place = position(text, located.options.get("model", located.whole))
    try:
        capabilities = catalog.capabilities(options["model"])
    except BindError as error:
        raise BindError(error.message.partition(" Did you mean")[0], place, error.name, error.candidates) from None
    if function.model_kind == "embed" and not capabilities.embeds:
        raise BindError(f"{function.sql_name} needs an embedding model; {options['model']} has no embeddings.", place)
    if function.model_kind == "generate" and not capabilities.generates:
        raise BindError(f"{function.sql_name} needs a text model; {options['model']} only embeds.", place)
    return capabilities


def _check_details(text: Text, located: LocatedCall, result: SqlType) -> None:
    """A condition has no place for details; DuckDB would find out in the middle of the rows."""
    before, after = text.word(located.whole.lo - 1), text.word(located.whole.hi)
    if result == BOOLEAN and (before in _CONDITION or after in ("AND", "OR", "THEN")) and after not in (".", "["):
        name = located.function.sql_name
        message = f"{name} has a STRUCT of value and error here, because on_error is 'details'. Write {name}(…).value."
        raise BindError(message, position(text, located.whole), name)


def _constant(text: Text, where: Range, parameter: Parameter, catalog: Catalog) -> Any:
    literal = where.hi - where.lo == 1 and text.tokens[where.lo].quoted and text.word(where.lo)[:1] != '"'
    if not literal and (parameter.kind != "constant" or (parameter.dynamic and not _is_constant(text, where, catalog))):
        return DYNAMIC
    value = _evaluate(text, where, catalog, parameter.name)
    return with_prompt(value, parameter.name, position(text, where), catalog.prompts)


def _is_constant(text: Text, where: Range, catalog: Catalog) -> bool:
    # A subquery belongs to the query's own moment, not to binding: EXPLAIN must not read another state than the query.
    if any(text.word(i) in ("SELECT", "FROM") for i in range(where.lo, where.hi)):
        return False
    try:
        catalog.constant(text.source(where))
    except duckdb.Error:
        return False
    return True


def _evaluate(text: Text, where: Range, catalog: Catalog, name: str) -> Any:
    try:
        return catalog.constant(text.source(where))
    except duckdb.Error as error:
        message = f"{name} must be a constant: no column can stand in it, and text and types stand in quotes ('…')."
        if isinstance(error, _FAULTS) or "Duplicate" in str(error):  # it is one, and DuckDB knows what is wrong with it
            message = f"{name}: {str(error).splitlines()[0]}."
        raise BindError(message, position(text, where), name) from None


def _led(function: SemanticFunction, message: str) -> str:
    """A message that names its function."""
    return message if message.startswith(function.sql_name) else f"{function.sql_name}: {message}"


def _place_of_constants(text: Text, located: LocatedCall) -> Position:
    """The constant that a function refused: the only one it has, else the call."""
    pairs = zip(located.arguments, _parameters(located.function), strict=False)
    constants = [argument for argument, parameter in pairs if parameter.kind == "constant"]
    return position(text, constants[0] if len(constants) == 1 else located.whole)
