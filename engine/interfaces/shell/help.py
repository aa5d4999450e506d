"""The texts of ``.help``, from the declarations of functions, commands and settings."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from .vocabulary import options, semantic_functions, semantic_names, settings, signature

CommandRows = Mapping[str, tuple[str, str]]


def overview(commands: CommandRows) -> Iterator[str]:
    """Commands, functions and keys."""
    yield "Statements end with a semicolon; Enter before it goes on in the next line. Ctrl-C clears the line or stops"
    yield "the running query, Ctrl-D leaves, Tab completes."
    yield ""
    yield from _aligned({f"{name} {arguments}".rstrip(): summary for name, (arguments, summary) in commands.items()})
    yield ""
    yield from _aligned({name: function.summary for name, function in semantic_functions().items()})
    yield ""
    yield "More: .help LLM_FILTER, .help .read, .help llm_model"


def help_on(name: str, commands: CommandRows) -> Iterator[str]:
    """Help on one function, command or setting; the nearest names if there is none such.

    Raises
    ------
    ValueError : nothing has that name.
    """
    wanted = name.rstrip("();")
    command = wanted if wanted.startswith(".") else f".{wanted}"
    if wanted.upper() in semantic_names():
        return _function(wanted.upper())
    if command.lower() in commands:
        arguments, summary = commands[command.lower()]
        return iter([f"{command.lower()} {arguments}".rstrip(), f"  {summary}"])
    if wanted.lower() in settings():
        return iter([f"SET {wanted.lower()} = …", f"  {settings()[wanted.lower()]}"])
    known = {word.lower(): word for word in (*semantic_names(), *commands, *settings())}
    near = difflib.get_close_matches(wanted.lower(), known, n=2)
    hint = f" Did you mean {' or '.join(known[word] for word in near)}?" if near else ""
    raise ValueError(f"There is no help on {name}.{hint}")


def _function(name: str) -> Iterator[str]:
    function = semantic_names()[name]
    yield signature(function)
    yield f"  {function.summary}"
    if function.aliases:
        yield f"  also: {', '.join(function.aliases)}"
    yield ""
    yield "Options (name := value):"
    yield from _aligned(options(function))
    yield ""
    yield "Example:"
    yield from (f"  {line}" for line in function.example.strip().splitlines())


def _aligned(rows: Mapping[str, str]) -> Iterator[str]:
    width = max(map(len, rows), default=0)
    for name, what in rows.items():
        yield f"  {name.ljust(width)}  {what}".rstrip()
