"""The history file: readable by its owner only, and without what looks like a secret."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from prompt_toolkit.history import FileHistory

_SECRETS = re.compile(
    r"""
      \b(?:sk|pk|rk|gsk|hf|ghp|gho|ghs|github_pat|glpat|xox[abprs]|npm|pypi)[-_][\w-]{12,}    # known prefixes
    | \b(?:AKIA|ASIA)[A-Z0-9]{12,} | \bAIza[\w-]{20,} | \beyJ[\w-]{10,}\.                   # AWS, Google, JWT
    | \bbearer\s+[\w.~+/-]{8,}
    | \bcreate\s+(?:or\s+replace\s+)?(?:persistent\s+|temp\w*\s+)?secret\b
    | (?:api_?key|access_?key|key_id|password|passwd|secret|token|credential)\w*["']?
      (?:\s*(?::=|=>|[:=])\s*['"]?[^\s'",;)]{4,} | \s+'[^']{4,}')
    | ://[^\s/'"@]+:[^\s/'"@]+@
    | -----BEGIN
    | \b[0-9a-fA-F]{32,}\b
    """,
    re.VERBOSE | re.IGNORECASE,
)
_LONG = re.compile(r"[A-Za-z0-9_\-+/=]{28,}")
_HARMLESS = re.compile(r"\b(?:\w*tokens\w*|\w*_env)[\"']?\s*(?::=|=>|[:=]|\s)\s*['\"]?\w+", re.IGNORECASE)


def looks_secret(text: str) -> bool:
    """Whether ``text`` holds something like a key or password. Doubt counts as yes: only a history line is at stake.

    >>> looks_secret("SET api_key = 'sk-abcdefghijklmnop'"), looks_secret("SELECT 1")
    (True, False)
    """
    text = _HARMLESS.sub("", text)
    return bool(_SECRETS.search(text)) or any(_random(match) for match in _LONG.findall(text))


def _random(word: str) -> bool:
    return all(any(test(c) for c in word) for test in (str.islower, str.isupper, str.isdigit))


def history_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Where lines are kept: ``$ANSER_HOME``, else the state folder that the platform has for users."""
    if home := environment.get("ANSER_HOME"):
        return Path(home).expanduser() / "history"
    if sys.platform == "win32":
        return Path(environment.get("LOCALAPPDATA") or Path.home()) / "anserdb" / "history"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "anserdb" / "history"
    state = environment.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "anserdb" / "history"


class SafeHistory(FileHistory):
    """prompt_toolkit's history file with mode 0600; secrets stay in this process, for the arrow keys."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._path = path

    def load_history_strings(self) -> Iterable[str]:
        """Lines of earlier sessions, newest first; a file that cannot be read is no reason not to start."""
        try:
            return list(super().load_history_strings())
        except OSError:
            return []

    def store_string(self, string: str) -> None:
        """Append a line, unless it looks like a secret or the file cannot be written."""
        if looks_secret(string):
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self._path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
            self._path.chmod(0o600)
            super().store_string(string)
        except OSError:
            return
