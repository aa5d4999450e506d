"""The items of a list in a JSON answer, each as soon as its last character is there, however the answer comes cut."""

from __future__ import annotations

import re
from typing import Any

from ...engine.types import read_json

_SIGN = re.compile(r'["{}\[\],]')
_IN_STRING = re.compile(r'["\\]')
_THOUGHT, _THOUGHT_END = "<think>", "</think>"


class ListItems:
    r"""Reads ``{"key": [item, …]}``, with or without words around it, as ``read_json`` of the whole will.

    Of an answer that is not JSON in the end, the items before the fault have been given; an item is never given twice, and
    nothing after the list is read. Every character is looked at once.

    Parameters
    ----------
    key : under which the list stands, in the answer's object itself.
    bare : the answer may also be the list alone, without an object around it.

    >>> items = ListItems("parts")
    >>> items.feed('Here:\n{"parts": ["a, [b]", {"c": 1.'), items.feed('10}, tr'), items.feed('ue, "no'), items.feed('w"]}')
    (['a, [b]'], [{'c': Decimal('1.10')}], [True], ['now'])
    """

    def __init__(self, key: str, *, bare: bool = False) -> None:
        self._key, self._bare = key, bare
        self._head = ""  # of the answer, until it is clear whether it begins with a thought
        self._inside = False  # the answer's object
        self._depth = 0
        self._listed = self._done = False
        self._named: Any = None  # the name of the member that is being read
        self._quoted = self._escaped = False
        self._kept: list[str] | None = None  # a name or an item, as far as it is there
        self._from = 0  # of these characters on it is kept, too

    def feed(self, delta: str) -> list[Any]:
        """The items that are whole now."""
        if not self._inside:
            delta = self._entered(delta)
        found: list[Any] = []
        at = self._from = 0
        while at < len(delta) and not self._done:
            at = self._string(delta, at, found) if self._quoted else self._sign(delta, at, found)
        if self._kept is not None:
            self._kept.append(delta[self._from :])
        return found

    def _entered(self, delta: str) -> str:
        """What stands from the object's brace on. A thought before it may hold braces of its own."""
        head = (self._head + delta).lstrip()
        if _THOUGHT.startswith(head[: len(_THOUGHT)]):
            _, end, rest = head.partition(_THOUGHT_END)
            if not end:
                self._head = head[: len(_THOUGHT)] + head[len(_THOUGHT) :][-len(_THOUGHT_END) :]
                return ""
            head = rest.lstrip()
        if self._bare and self._head != ".":
            self._head = ""
            if head.startswith("["):
                self._inside, self._depth, self._named = True, 1, self._key  # as if it stood in the object
            if self._inside or not head:
                return head
        # What is left of the head is no thought, and holds no brace.
        self._head = "."
        start = head.find("{")
        self._inside = start >= 0
        return head[start:] if self._inside else ""

    def _string(self, delta: str, at: int, found: list[Any]) -> int:
        if self._escaped:
            self._escaped = False
            return at + 1
        sign = _IN_STRING.search(delta, at)
        if sign is None:
            return len(delta)
        if sign.group() == "\\":
            self._escaped = True
        else:
            self._quoted = False
            if self._depth == 1 + self._listed:
                self._end(delta, sign.end(), found)
        return sign.end()

    def _sign(self, delta: str, at: int, found: list[Any]) -> int:
        match = _SIGN.search(delta, at)
        if match is None:
            return len(delta)
        at = match.end()
        match match.group():
            case '"':
                self._quoted = True
            case "{" | "[" as sign:
                self._open(sign, at)
            case ",":
                self._separate(delta, at, found)
            case _:
                self._close(delta, at, found)
        return at

    def _open(self, sign: str, at: int) -> None:
        self._depth += 1
        if self._depth == 2 and not self._listed and sign == "[" and self._named == self._key:
            self._listed = True
            self._keep(at)
        elif self._depth == 1:
            self._keep(at)

    def _separate(self, delta: str, at: int, found: list[Any]) -> None:
        if self._depth == 1 + self._listed:
            self._end(delta, at - 1, found)
            self._named = None
            self._keep(at)

    def _close(self, delta: str, at: int, found: list[Any]) -> None:
        self._depth -= 1
        if self._listed and self._depth == 2:
            self._end(delta, at, found)
        elif self._depth < 1 + self._listed:
            if self._listed:
                self._end(delta, at - 1, found)
            self._done = True

    def _keep(self, at: int) -> None:
        self._kept, self._from = [], at

    def _end(self, delta: str, at: int, found: list[Any]) -> None:
        """What is kept is whole: the name of a member of the object, or an item of the list."""
        if self._kept is None:
            return
        text = "".join([*self._kept, delta[self._from : at]]).strip()
        self._kept = None
        if not text:
            return
        try:
            value = read_json(text)
        except ValueError:
            self._done = True
            return
        if self._listed:
            found.append(value)
        else:
            self._named = value
