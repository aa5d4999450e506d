"""Server-sent events out of bytes that come cut anywhere (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its ``data`` lines joined, and its name where it has one."""

    data: str
    name: str = ""


class EventReader:
    """Reads a stream of events. Comments (keep-alives) and fields that nobody here uses are passed over.

    >>> reader = EventReader()
    >>> reader.feed(b'data: {"a"'), reader.feed(b": 1}\\r\\n\\r"), reader.feed(b"\\n: still there\\n\\ndata: b")
    ([], [Event(data='{"a": 1}', name='')], [])
    >>> reader.close()
    [Event(data='b', name='')]
    """

    def __init__(self) -> None:
        self._pending: list[bytes] = []  # the beginning of a line
        self._data: list[str] = []
        self._name = ""
        self._begun = False
        self._after_return = False

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that are whole now."""
        if self._after_return and chunk:  # a CRLF may be cut in two
            chunk, self._after_return = chunk.removeprefix(b"\n"), False
        found: list[Event] = []
        at = 0
        for end in _LINE_END.finditer(chunk):
            self._pending.append(chunk[at : end.start()])
            at = end.end()
            found += self._line()
            self._after_return = at == len(chunk) and end.group() == b"\r"
        if at < len(chunk):
            self._pending.append(chunk[at:])
        return found

    def close(self) -> list[Event]:
        """The stream has ended: its last event counts, although some servers leave out the empty line after it."""
        return [*self._line(), *self._line()]

    def _line(self) -> list[Event]:
        # Bytes become text by the line: no character is cut there.
        line, self._pending = b"".join(self._pending), []
        if not self._begun:
            line, self._begun = line.removeprefix(_BOM), True
        if not line:
            return self._event()
        field, _, value = line.partition(b":")
        words = value.removeprefix(b" ").decode("utf-8", "replace")
        if field == b"data":
            self._data.append(words)
        elif field == b"event":
            self._name = words
        return []

    def _event(self) -> list[Event]:
        data, name, self._data, self._name = self._data, self._name, [], ""
        return [Event("\n".join(data), name)] if data else []
