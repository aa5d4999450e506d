"""Reading from a person: with prompt_toolkit on a capable terminal, line by line on a dumb one."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Protocol

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import ColorDepth

from .complete import ShellCompleter
from .highlight import STYLE, lexer
from .history import SafeHistory, history_path
from .scan import is_finished
from .vocabulary import Names

PROMPT = "anser> "
MORE = "   ...> "
_WORDS = {"quit": ".quit", "exit": ".exit", "help": ".help"}


class Reader(Protocol):
    """Where input comes from."""

    def read(self) -> str:
        """One input, with all its lines. Raises EOFError at Ctrl-D and KeyboardInterrupt at Ctrl-C."""
        ...


def reader(names: Names, commands: Mapping[str, str]) -> Reader:
    """The best reader for this terminal."""
    if os.environ.get("TERM", "") in ("dumb", "unknown"):
        return PlainReader()
    return PromptReader(names, commands)


def spelled_out(text: str) -> str:
    """Bare ``quit``, ``exit`` and ``help`` as the commands that they mean.

    >>> spelled_out("quit;")
    '.quit'
    """
    return _WORDS.get(text.strip().rstrip(";").strip().lower(), text)


def ends(text: str) -> bool:
    """Whether Enter runs ``text``."""
    return is_finished(text) or text.strip().lower() in _WORDS


class PlainReader:
    """Lines as the terminal gives them."""

    def read(self) -> str:
        """Ask until the statement ends."""
        lines = [input(PROMPT)]
        while not ends("\n".join(lines)):
            lines.append(input(MORE))
        return spelled_out("\n".join(lines))


class PromptReader:
    """Editing, highlighting, completion and history."""

    def __init__(self, names: Names, commands: Mapping[str, str]) -> None:
        self._session: PromptSession[str] = PromptSession(
            lexer=lexer(),
            style=STYLE,
            completer=ShellCompleter(names, commands),
            complete_while_typing=True,
            history=SafeHistory(history_path()),
            auto_suggest=AutoSuggestFromHistory(),
            multiline=True,
            key_bindings=_keys(),
            prompt_continuation=_continuation,
            color_depth=ColorDepth.DEPTH_1_BIT if os.environ.get("NO_COLOR") else None,
            enable_open_in_editor=True,
        )

    def read(self) -> str:
        """One input, edited until Enter stands after a finished statement."""
        return spelled_out(self._session.prompt([("class:prompt", PROMPT)]))


def _continuation(width: int, line: int, wrapped: int) -> StyleAndTextTuples:
    del width, line
    return [("class:prompt.more", " " * len(MORE) if wrapped else MORE)]


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state is not None and buffer.complete_state.current_completion is not None:
            buffer.complete_state = None  # Enter takes the chosen completion, and does not run the statement yet
        elif ends(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.newline(copy_margin=False)

    @keys.add("tab")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.complete_state is not None and buffer.complete_state.completions:
            buffer.complete_next()
            return
        wanted = CompleteEvent(completion_requested=True)
        found = list(buffer.completer.get_completions(buffer.document, wanted))
        if len(found) == 1:  # at once: a menu would come too late for whoever types on
            buffer.complete_state = None
            buffer.apply_completion(found[0])
        else:
            buffer.start_completion(insert_common_part=True)

    return keys


def is_interactive() -> bool:
    """Whether a person sits at both ends."""
    return sys.stdin.isatty() and sys.stdout.isatty()
