"""A chat completion that comes in chunks, put together to the object that the server would have answered at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from .chat_format import read_text, read_usage
from .hearing import Listener
from .http_stream import GaveUp, Unreadable
from .sending import answered
from .sse import Event, EventReader

_END = "[DONE]"
_SAID = (("insufficient_quota", 429), ("rate_limit", 429), ("overloaded", 503), ("invalid_request", 400))


class ChatStream:
    """One streamed answer.

    Parameters
    ----------
    listener : hears the text as it comes.

    >>> class Printed:
    ...     begin = staticmethod(lambda: None)
    ...     text = staticmethod(print)
    >>> stream = ChatStream(Printed())
    >>> stream.feed(b'data: {"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]}\\n\\ndata: [DO')
    Hi
    False
    >>> stream.feed(b"NE]\\n\\n")
    True
    >>> stream.whole, stream.reply()["choices"][0]["message"]
    (True, {'role': 'assistant', 'content': 'Hi'})
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._reader = EventReader()
        self._text: list[str] = []
        self._half = ""  # the first half of a character in UTF-16: some proxies cut there
        self._finish: str | None = None
        self._usage: Mapping[str, Any] | None = None
        self._begun = self._ended = False

    def feed(self, chunk: bytes) -> bool:
        """Take bytes as they come; whether the server says that this was all. Raises as :class:`Sink` says."""
        self._take(self._reader.feed(chunk))
        return self._ended

    def close(self) -> None:
        """The connection has ended, maybe in the middle of an event; raises as :meth:`feed`, but for that."""
        with suppress(Unreadable):
            self._take(self._reader.close())

    @property
    def whole(self) -> bool:
        """Whether the answer is complete: the server says so, or leaves that out, but nothing is missing before it."""
        return self._ended or (self._finish is not None and self._usage is not None)

    def reply(self) -> dict[str, Any]:
        """The answer so far, in the form of one that is not streamed."""
        message = {"role": "assistant", "content": "".join(self._text) + self._half}
        choice = {"index": 0, "message": message, "finish_reason": self._finish}
        return {"choices": [choice], "usage": self._usage}

    def _take(self, events: list[Event]) -> None:
        said: list[str] = []
        for event in events:
            if not self._ended:
                said += self._read(event)
        if said:
            self._say("".join(said))

    def _read(self, event: Event) -> list[str]:
        if event.data.strip() == _END:
            self._ended = True
            return []
        if not event.data:
            return []
        try:
            return self._chunk(json.loads(event.data), event.name)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise Unreadable(event.data.encode(errors="replace")) from None

    def _chunk(self, chunk: Mapping[str, Any], name: str) -> list[str]:
        if name == "error" or chunk.get("error") or chunk.get("object") == "error":
            raise GaveUp(_status(chunk), json.dumps(chunk).encode())
        if chunk.get("usage"):
            self._usage = chunk["usage"]
            answered(read_usage(chunk))  # paid for, whether the rest comes or not
        # The last chunk has the usage and no choice; others than the first were not asked for.
        mine = [choice for choice in chunk.get("choices") or () if not choice.get("index")]
        self._finish = next((why for choice in mine if (why := choice.get("finish_reason"))), self._finish)
        return [words for choice in mine if (words := read_text((choice.get("delta") or {}).get("content")))]

    def _say(self, words: str) -> None:
        words, self._half = self._half + words, ""
        if "\ud800" <= words[-1] <= "\udbff":
            words, self._half = words[:-1], words[-1]
        if any("\ud800" <= sign <= "\udfff" for sign in words):
            words = words.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        if not self._begun:
            self._begun = True
            self._listener.begin()
        self._text.append(words)
        self._listener.text(words)


def _status(chunk: Mapping[str, Any]) -> int:
    """An error in mid-stream has no HTTP status; it stands for the one that it would have had before."""
    error = chunk.get("error", chunk)
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(code, int) and 400 <= code < 600:
        return code
    words = json.dumps(error).lower()
    return next((status for word, status in _SAID if word in words), 500)
