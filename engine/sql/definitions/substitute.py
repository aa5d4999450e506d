"""A macro's arguments in the place of its parameters, as DuckDB puts them: by name, wherever a column could stand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from ....udfs.spec import SemanticFunction
from ...errors import BindError, Position
from ..call_text import WrittenCall, position
from ..locate import locate
from ..tokens import Range, Text
from .definition import Definition, Parameter
from .places import Places

Render = Callable[[Range], str]
_NAMED = re.compile(r"\{\s*([^\W\d]\w*)\s*\}")
_COLUMN = re.compile(r'(?:[^\W\d]\w*|"[^"]+")(?:\.(?:[^\W\d]\w*|"[^"]+"))?')


def matching(
    text: Text, written: WrittenCall, offered: Sequence[Definition | None], render: Render
) -> tuple[Definition, dict[str, str]] | None:
    """Which of a macro's definitions a call means, and the text for each parameter (lower case); ``None``: one that asks no
    model.

    Raises
    ------
    BindError : none takes these arguments.
    """
    asking = [definition for definition in offered if definition is not None]
    named = {key: render(where) for key, where in written.options.items()}
    plain = [render(where) for where in written.arguments]
    for definition in asking:
        given = _given(definition, plain, named)
        if given is not None:
            return definition, given
    if None in offered:
        return None
    takes = " or ".join(f"({', '.join(map(_shown, d.parameters))})" for d in asking)
    message = f"{asking[0].kind} {asking[0].name} takes {takes}; {len(plain) + len(named)} given."
    raise BindError(message[:1].upper() + message[1:], position(text, written.whole), asking[0].name)


def _shown(parameter: Parameter) -> str:
    return f"{parameter.name} := {parameter.default}" if parameter.default else parameter.name


def _given(definition: Definition, plain: list[str], named: Mapping[str, str]) -> dict[str, str] | None:
    names = [p.name.lower() for p in definition.parameters]
    given = dict(zip(names, plain, strict=False))
    if len(plain) > len(names) or not named.keys() <= set(names) - given.keys():
        return None
    given |= named
    given |= {p.name.lower(): p.default for p in definition.parameters if p.default and p.name.lower() not in given}
    if given.keys() != set(names):
        return None
    return {p.name.lower(): _typed(given[p.name.lower()], p.type) for p in definition.parameters}


def _typed(argument: str, kind: str) -> str:
    """The argument as one operand; a literal stays one, because calls ask for literals."""
    token = len(Text(argument).tokens) == 1
    if kind and not (token and argument.startswith("'") and kind.upper() == "VARCHAR"):
        return f"CAST(({argument}) AS {kind})"
    return argument if token else f"({argument})"


def substituted(
    body: Text,
    definition: Definition,
    given: Mapping[str, str],
    functions: Mapping[str, SemanticFunction],
    place: Position,
) -> str:
    """The body with its parameters replaced, in the templates of its calls, too.

    Raises
    ------
    BindError : a template names a parameter for which no column is given.
    """
    templates, places, lambdas = _templates(body, functions), Places(body), list(_lambdas(body))
    pieces, at = list[str](), 0
    for index, token in enumerate(body.tokens):
        if index in templates:
            new = _in_template(body.sql[token.start : token.end], definition, given, place)
        elif (parameter := _parameter(body, index)) in given:
            if places.is_source(index) or any(parameter in of and index in where for of, where in lambdas):
                continue
            new = given[parameter]
        else:
            continue
        pieces += [body.sql[at : token.start], new]
        at = token.end
    return "".join([*pieces, body.sql[at:]])


def _lambdas(body: Text) -> Iterator[tuple[set[str], range]]:
    """The names of each ``lambda a, b: …``, which hide parameters, and where they do."""
    for index in range(len(body.tokens)):
        if body.word(index) == "LAMBDA" and not body.tokens[index].quoted:
            ends = (closing for opening, closing in body.partner.items() if opening < index < closing)
            end = min(ends, default=len(body.tokens))
            colon = next((i for i in range(index, end) if body.word(i) == ":"), end)
            yield {body.word(i).strip('"').lower() for i in range(index + 1, colon)} - {","}, range(index, end)


def _parameter(body: Text, index: int) -> str:
    """The name, lower case, if a column reference may begin here."""
    token, following = body.tokens[index], body.word(index + 1)
    if token.quoted and token.word[:1] != '"':
        return ""
    named = following in ("(", ":=", "=>") or (following == ":" and body.word(index - 1) in ("{", ","))
    cte = body.word(index - 1) in ("WITH", "RECURSIVE") or (
        body.word(index - 1) == "," and following == "AS" and body.word(index + 2) == "("
    )
    return "" if named or cte or body.word(index - 1) in (".", "AS", "::") else token.word.strip('"').lower()


def _templates(body: Text, functions: Mapping[str, SemanticFunction]) -> set[int]:
    """Tokens that are templates: the literal first arguments of calls whose inputs may be named in them."""
    found = [c for c in locate(body, body.all(), functions) if c.arguments and c.function.parameters[-1].variadic]
    return {c.arguments[0].lo for c in found if body.tokens[c.arguments[0].lo].word[:1] == "'"}


def _in_template(template: str, definition: Definition, given: Mapping[str, str], place: Position) -> str:
    def column(found: re.Match[str]) -> str:
        argument = given.get(found[1].lower(), found[1]).strip("()")
        if not _COLUMN.fullmatch(argument):
            raise BindError(
                f"In the {definition.kind} {definition.name} a template names {{{found[1]}}}; only a column can be given "
                f"for it. Define it with {found[1]} as an argument of the call: LLM_…('…', {found[1]}).",
                place,
                found[1],
            )
        return "{" + argument.replace('"', "") + "}"

    return _NAMED.sub(column, template)
