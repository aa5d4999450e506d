"""``CREATE``, ``DROP`` and ``SHOW`` for proxies: students of a model's answers, with a name."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...errors import ParseError, Position
from ..tokens import Range, Text
from .grammar import end, expected, name_at, place, skip

NAME = "a proxy's name"
FORM = "CREATE PROXY name FOR LLM_FILTER('the condition') ON (SELECT column FROM table)"


@dataclass(frozen=True, slots=True)
class CreateProxy:
    """``CREATE [OR REPLACE] PROXY [IF NOT EXISTS] name FOR LLM_FILTER('…') ON (SELECT …)``.

    Parameters
    ----------
    function : as it was written. arguments : what stands in its parentheses, one by one. query : whose columns are its inputs.
    places : of the name, the function and the query, where these stand in the statement itself.
    """

    name: str
    function: str
    arguments: tuple[str, ...]
    query: str
    replace: bool = False
    if_not_exists: bool = False
    places: tuple[Position, Position, Position] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class DropProxy:
    """``DROP PROXY [IF EXISTS] name``."""

    name: str
    if_exists: bool
    place: Position | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ShowProxies:
    """``SHOW PROXIES``."""


ProxyStatement = CreateProxy | DropProxy | ShowProxies


def parse_proxy(text: Text) -> ProxyStatement | None:
    """A statement about proxies; ``None``: it is none."""
    words = [text.word(i) for i in range(4)]
    if words[:2] == ["CREATE", "PROXY"] or words == ["CREATE", "OR", "REPLACE", "PROXY"]:
        return _create(text)
    if words[:2] == ["DROP", "PROXY"]:
        at, exists = skip(text, 2, "IF", "EXISTS")
        name = name_at(text, at, NAME)
        end(text, at + 1, "DROP PROXY")
        return DropProxy(name, exists, place(text, Range(at, at + 1)))
    return ShowProxies() if words[:2] == ["SHOW", "PROXIES"] and words[2] in ("", ";") else None


def call_of(written: str) -> tuple[str, tuple[str, ...]] | None:
    """Function and arguments of a call's text; ``None``: it is no call and nothing else.

    >>> call_of("LLM_CLASSIFY(['a', 'b'])")
    ('LLM_CLASSIFY', ("['a', 'b']",))
    """
    text = Text(written)
    if len(text.tokens) < 3 or text.word(1) != "(" or text.partner[1] != len(text.tokens) - 1:
        return None
    return _called(text, 0)


def _create(text: Text) -> CreateProxy:
    at, replace = skip(text, 1, "OR", "REPLACE")
    at, exists = skip(text, at + 1, "IF", "NOT", "EXISTS")
    name = name_at(text, at, NAME)
    if text.word(at + 1) != "FOR":
        raise expected(text, at + 1, f"FOR and the call that the proxy learns: {FORM}")
    call = at + 2
    if text.word(call + 1) != "(":
        raise expected(text, call, f"a call such as LLM_FILTER('the condition'): {FORM}")
    on = text.partner[call + 1] + 1
    if text.word(on) != "ON" or text.word(on + 1) != "(":
        raise expected(text, on, f"ON and a query in parentheses whose columns are the call's inputs: {FORM}")
    query = text.inside(on + 1)
    if not query:
        raise expected(text, on + 2, f"a query: {FORM}")
    end(text, query.hi + 1, f"CREATE PROXY {name}")
    if replace and exists:
        raise ParseError(
            "OR REPLACE and IF NOT EXISTS say opposite things: leave one of them out.", place(text, text.all())
        )
    function, arguments = _called(text, call)
    name_place, call_place, query_place = (place(text, part) for part in (Range(at, at + 1), Range(call, on), query))
    places = name_place, call_place, query_place
    return CreateProxy(name, function, arguments, text.source(query), replace, exists, places)


def _called(text: Text, at: int) -> tuple[str, tuple[str, ...]]:
    return text.source(Range(at, at + 1)), tuple(text.source(part) for part in text.split(text.inside(at + 1)) if part)
