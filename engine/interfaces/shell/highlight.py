"""Colours of what is typed; semantic functions stand out, because they are the part that costs."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import ClassVar

from prompt_toolkit.lexers import PygmentsLexer
from prompt_toolkit.styles import Style
from pygments.lexer import RegexLexer, words
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Text

from .vocabulary import keywords, semantic_names

STYLE = Style.from_dict(
    {
        "prompt": "bold ansicyan",
        "prompt.more": "ansibrightblack",
        "pygments.keyword": "bold ansiblue",
        "pygments.name.builtin": "bold ansimagenta",
        "pygments.name.decorator": "ansicyan",
        "pygments.literal.string": "ansigreen",
        "pygments.literal.number": "ansiyellow",
        "pygments.comment": "italic ansibrightblack",
        "completion-menu.completion": "noinherit",
        "completion-menu.meta.completion": "noinherit ansibrightblack",
        "completion-menu.completion.current": "reverse",
        "completion-menu.meta.completion.current": "reverse",
    }
)


@lru_cache(maxsize=1)
def lexer() -> PygmentsLexer:
    """The lexer of the prompt."""
    semantic = words(sorted(semantic_names(), key=len, reverse=True), prefix=r"\b", suffix=r"(?=\s*\()")

    class AnserLexer(RegexLexer):
        name = "anser"
        flags = re.IGNORECASE
        tokens: ClassVar = {
            "root": [
                (r"\A\s*\.\w+", Name.Decorator),
                (r"\s+", Text),
                (r"--[^\n]*", Comment),
                (r"/\*", Comment, "comment"),
                (r"'(?:[^']|'')*'?", String),
                (r"\$(\w*)\$(?:[^$]|\$(?!\1\$))*(?:\$\1\$)?", String),
                (r'"(?:[^"]|"")*"?', Name),
                (r"\b\d+(?:\.\d*)?(?:e[+-]?\d+)?\b|\.\d+", Number),
                (semantic, Name.Builtin),
                (words(keywords(), prefix=r"\b", suffix=r"\b"), Keyword),
                (r"\w+", Name),
                (r":=|=>|[-+*/%<>=!|&~^:@#]", Operator),
                (r".", Punctuation),
            ],
            "comment": [
                (r"/\*", Comment, "#push"),
                (r"\*/", Comment, "#pop"),
                (r"[^/*]+|[/*]", Comment),
            ],
        }

    return PygmentsLexer(AnserLexer, sync_from_start=True)
