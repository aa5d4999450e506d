"""Completion: what can stand at the cursor, from the words before it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from .formats import FORMATS
from .vocabulary import Names, keywords, options, semantic_functions, semantic_names, settings, signature

_WORD = re.compile(r"[\w.]*\Z")
_SET = re.compile(r"(?:^|;)\s*(?:SET|RESET)\s+(?:GLOBAL\s+|SESSION\s+)?\w*\Z", re.IGNORECASE)
_MODEL = re.compile(r"\bmodel\s*(?::=|=>)\s*('?)([\w.-]*)\Z|\bllm_model\s*=\s*('?)([\w.-]*)\Z", re.IGNORECASE)
_TABLE_PLACE = re.compile(r"\b(?:FROM|JOIN|INTO|TABLE|VIEW|UPDATE|DESCRIBE|SUMMARIZE)\s+[\w.]*\Z", re.IGNORECASE)
_TABLE_USE = re.compile(r'\b(?:FROM|JOIN|UPDATE|INTO)\s+([\w."]+)(?:\s+(?:AS\s+)?(\w+))?', re.IGNORECASE)
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*")
_CALL = re.compile(r"([\w.]+)\s*\Z")


class ShellCompleter(Completer):
    """Completes SQL, and dot commands (name → what it does)."""

    def __init__(self, names: Names, commands: Mapping[str, str]) -> None:
        self._names, self._commands = names, commands
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Candidates at the cursor; while typing only from the second letter on."""
        before = document.text_before_cursor
        if before.lstrip().startswith(".") and "\n" not in before.strip():
            return self._command(before.lstrip(), complete_event)
        word = _word(before)
        if not complete_event.completion_requested and len(word) < 2 and not _MODEL.search(before):
            return []
        return self._sql(before, document.text, word)

    def _command(self, before: str, event: CompleteEvent) -> Iterable[Completion]:
        name, blank, rest = before.partition(" ")
        if not blank:
            return _matching(name, self._commands)
        if name == ".read":
            return self._paths.get_completions(Document(rest), event)
        word = rest.rpartition(" ")[2]
        return _matching(word, self._arguments(name))

    def _arguments(self, name: str) -> Mapping[str, str]:
        if name == ".help":
            return {key: f.summary for key, f in semantic_functions().items()} | dict(self._commands) | dict(settings())
        if name in (".schema", ".tables"):
            return dict.fromkeys(self._names.tables(), "")
        return dict.fromkeys({".mode": list(FORMATS), ".timer": ["on", "off"]}.get(name, ()), "")

    def _sql(self, before: str, text: str, word: str) -> Iterator[Completion]:
        if model := _MODEL.search(before):
            quote = model[1] or model[3] or ""
            typed = model[2] or model[4] or ""
            yield from _matching(
                quote + typed, {f"'{name}'": "model" for name in self._names.models()}, loose=not quote
            )
        elif _SET.search(before):
            yield from _matching(word, settings())
        elif "." in word:
            yield from self._members(word, text)
        elif _TABLE_PLACE.search(before):
            yield from _matching(word, dict.fromkeys(self._names.tables(), "table"))
        else:
            yield from self._expression(before, text, word)

    def _members(self, word: str, text: str) -> Iterator[Completion]:
        owner, _, part = word.rpartition(".")
        columns = self._names.columns(_used(text).get(owner.lower(), owner))
        yield from _matching(part, dict.fromkeys(columns, "column"))
        yield from _matching(word, dict.fromkeys(self._names.tables(), "table"))

    def _expression(self, before: str, text: str, word: str) -> Iterator[Completion]:
        if function := semantic_names().get(_open_call(before)):
            yield from _matching(word, {f"{name} := ": what for name, what in options(function).items()})
        for table in dict.fromkeys(_used(text).values()):
            yield from _matching(word, dict.fromkeys(self._names.columns(table), f"column of {table}"))
        for name, function in semantic_functions().items():
            (shown,) = _in_case_of(word, [f"{name}("])
            yield from _matching(word, {shown: f"{signature(function)} {function.summary}"})
        yield from _matching(word, dict.fromkeys(self._names.tables(), "table"))
        yield from _matching(word, dict.fromkeys(_in_case_of(word, keywords()), ""))


def _matching(word: str, candidates: Mapping[str, str], loose: bool = False) -> Iterator[Completion]:
    """Candidates that start with ``word``, whatever its case; ``loose`` forgives a missing opening quote."""
    typed = word.lower()
    for candidate, meta in candidates.items():
        plain = candidate.lower()
        if plain.startswith(typed) or (loose and plain.lstrip("'").startswith(typed)):
            yield Completion(candidate, -len(word), display=candidate.strip(), display_meta=meta)


def _word(before: str) -> str:
    match = _WORD.search(before)
    return match[0] if match else ""


def _in_case_of(word: str, names: Sequence[str]) -> Sequence[str]:
    """Words of SQL in the case that the user types; Tab completes only what it need not change."""
    return [name.lower() for name in names] if word.islower() else names


def _used(text: str) -> dict[str, str]:
    """Tables that the statement names, by name and by alias, lower case."""
    found: dict[str, str] = {}
    for match in _TABLE_USE.finditer(text):
        table = match[1].strip('"')
        found[table.lower()] = table
        if match[2]:
            found.setdefault(match[2].lower(), table)
    return found


def _open_call(before: str) -> str:
    """Upper-case name of the innermost function whose argument list is open; "" if none is."""
    before = _QUOTED.sub("", before)
    depth = 0
    for at in range(len(before) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(before[at], 0)
        if depth < 0:
            match = _CALL.search(before[:at])
            return match[1].upper() if match else ""
    return ""
