"""Server-sent events and streamed completions, however they are cut."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anserdb.udfs.models.base import Usage
from anserdb.udfs.models.chat_stream import ChatStream
from anserdb.udfs.models.http_stream import GaveUp, Unreadable
from anserdb.udfs.models.sending import counted
from anserdb.udfs.models.sse import Event, EventReader

ENDS = st.sampled_from(["\n", "\r\n", "\r"])
LINE = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=12)
CUTS = st.lists(st.integers(0, 400), max_size=12)


class Heard:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.attempts: list[list[str]] = []

    def begin(self) -> None:
        self.attempts.append([])

    def text(self, delta: str) -> None:
        self.attempts[-1].append(delta)


def cut(raw: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(raw), *(at for at in cuts if at < len(raw))})
    return [raw[lo:hi] for lo, hi in pairwise(edges)]


def read(pieces: list[bytes]) -> list[Event]:
    reader = EventReader()
    found = [event for piece in pieces for event in reader.feed(piece)]
    return found + reader.close()


@given(st.lists(st.tuples(LINE, st.lists(LINE, min_size=1, max_size=3)), max_size=5), ENDS, st.booleans(), CUTS)
def test_events_are_read_whatever_the_line_ends_and_wherever_they_are_cut(
    events: list[tuple[str, list[str]]], end: str, bom: bool, cuts: list[int]
) -> None:
    lines = ["\ufeff"[: int(bom)]]
    for name, data in events:
        lines += [": keep-alive", "retry: 3", f"event: {name}", *(f"data: {line}" for line in data), "", ""]
    raw = end.join(lines).encode() + b": the end"
    expected = [Event("\n".join(data), name) for name, data in events]
    assert read([raw]) == read(cut(raw, cuts)) == expected


def test_what_the_standard_allows_and_servers_do() -> None:
    assert read([b"data:no space\n\ndata\n\n\n\n:\n\ndata:  two\nid: 7\n\n"]) == [
        Event("no space"),
        Event(""),
        Event(" two"),
    ]
    assert read([b"data: a\r", b"\ndata: b\r\n\r", b"\ndata: c"]) == [Event("a\nb"), Event("c")]
    assert read([b"data: a\r", b"", b"\n\n"]) == [Event("a")]
    assert read([b'data: "\xe2\x82', b'\xac"\n\n']) == [Event('"€"')]


def chunk(words: str | None = None, finish: str | None = None, **more: Any) -> str:
    delta = {} if words is None else {"content": words}
    return json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}, ensure_ascii=False)


def lines(*events: str) -> bytes:
    return "".join(f"data: {event}\n\n" for event in events).encode()


USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
LAST = json.dumps({"choices": [], "usage": USAGE})


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), max_size=6), CUTS, ENDS)
def test_the_reply_is_that_of_a_server_that_does_not_stream(words: list[str], cuts: list[int], end: str) -> None:
    raw = lines(*map(chunk, words), chunk(finish="stop", usage=None), LAST, "[DONE]").replace(b"\n\n", end.encode() * 2)
    heard = Heard()
    stream = ChatStream(heard)
    ended = [stream.feed(piece) for piece in cut(raw, cuts)]
    assert ended == [False] * (len(ended) - 1) + [True] or end == "\r"  # a lone return may have its line feed to come
    stream.close()
    assert stream.whole
    assert stream.reply() == {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "".join(words)}, "finish_reason": "stop"}],
        "usage": USAGE,
    }
    assert "".join(map("".join, heard.attempts)) == "".join(words)
    assert len(heard.attempts) == bool("".join(words))


def fed(*pieces: bytes) -> ChatStream:
    stream = ChatStream(Heard())
    for piece in pieces:
        if stream.feed(piece):
            break
    stream.close()
    return stream


@pytest.mark.parametrize(
    ("raw", "whole"),
    [
        (lines(chunk("a"), "[DONE]"), True),
        (lines(chunk("a", "stop"), LAST), True),  # without the end mark, but nothing is missing
        (lines(chunk("a", "stop")), False),  # what was paid is
        (lines(chunk("a"), LAST), False),
        (lines(chunk("a"))[:-9], False),
        (b"", False),
        (lines(chunk("a"), "[DONE]").rstrip(), True),
        (lines("", chunk("a"), "", "[DONE]"), True),
        (lines(chunk("a"), "[DONE]", "after the end"), True),
    ],
)
def test_an_answer_is_whole_when_nothing_is_missing(raw: bytes, whole: bool) -> None:
    assert fed(raw).whole is whole


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ('{"error": {"message": "no", "type": "server_error"}}', 500),
        ('{"error": {"message": "no", "code": 429}}', 429),
        ('{"error": {"message": "no", "code": "rate_limit_exceeded"}}', 429),
        ('{"error": {"message": "Overloaded", "type": "overloaded_error"}}', 503),
        ('{"error": {"message": "no", "type": "invalid_request_error"}}', 400),
        ('{"object": "error", "message": "no", "code": 400}', 400),
        ('{"error": "no"}', 500),
        ('{"error": {"message": "no", "code": 7}}', 500),
    ],
)
def test_an_error_in_mid_stream_is_that_which_it_would_have_been_before(event: str, status: int) -> None:
    with pytest.raises(GaveUp) as caught:
        fed(lines(chunk("a"), event))
    assert caught.value.status == status
    assert b"no" in caught.value.body.lower() or b"overloaded" in caught.value.body.lower()
    with pytest.raises(GaveUp):
        fed(b'event: error\ndata: {"message": "no"}\n\n')


@pytest.mark.parametrize("event", ["<html>", "[1]", "7", '{"choices": [7]}', '{"choices": [{"delta": 7}]}', "null"])
def test_what_is_no_chunk_is_refused(event: str) -> None:
    with pytest.raises(Unreadable):
        fed(lines(event))


def test_a_character_that_is_cut_in_two_is_one_again() -> None:
    heard = Heard()
    stream = ChatStream(heard)
    stream.feed(b'data: {"choices": [{"delta": {"content": "a\\ud83d"}}]}\n\n')
    stream.feed(b'data: {"choices": [{"delta": {"content": "\\ude00b"}}]}\n\n')
    assert heard.attempts == [["a", "\U0001f600b"]]
    assert stream.reply()["choices"][0]["message"]["content"] == "a\U0001f600b"


def test_only_the_first_choice_is_heard_and_thoughts_are_none() -> None:
    other = '{"choices": [{"index": 1, "delta": {"content": "x"}}, {"index": 0, "delta": {"reasoning_content": "hm"}}]}'
    stream = fed(lines(other, chunk("a"), "[DONE]"))
    assert stream.reply()["choices"][0]["message"]["content"] == "a"


def test_tokens_are_told_when_they_are_known_and_not_when_all_is_well() -> None:
    with counted() as sendings:
        stream = ChatStream(Heard())
        stream.feed(lines(chunk("a", usage=USAGE)))
        assert sendings.usage == Usage(5, 2, 4)
        with pytest.raises(GaveUp):
            stream.feed(lines('{"error": "no"}'))
    assert sendings.usage == Usage(5, 2, 4)
