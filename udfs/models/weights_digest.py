"""The model folder, and SHA-256 sums of model files that are computed once per file."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

BLOCK = 1 << 23


def model_folder() -> Path:
    """Where model files are kept: ``$ANSER_HOME/models``, or ``anserdb/models`` in the platform's cache folder."""
    if home := os.environ.get("ANSER_HOME"):
        return Path(home).expanduser() / "models"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", str(Path.home() / "AppData" / "Local")))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "anserdb" / "models"


def sha256_of(path: Path, advance: Callable[[int], None] | None = None) -> str:
    """SHA-256 of a file, in hex. ``advance`` hears the bytes read so far."""
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as source:
        while chunk := source.read(BLOCK):
            digest.update(chunk)
            done += len(chunk)
            if advance:
                advance(done)
    return digest.hexdigest()


def digest(path: Path) -> str:
    """SHA-256 of a file, remembered beside it (or, where that cannot be written, in the model folder) until it changes.

    Raises
    ------
    OSError : the file cannot be read.
    """
    stat = path.stat()
    stamp = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    for note in _notes(path):
        if (known := _read_note(note)) and {k: known.get(k) for k in stamp} == stamp:
            return str(known["sha256"])
    value = sha256_of(path)
    remember(path, value)
    return value


def remember(path: Path, sha256: str) -> None:
    """Note the hash of a file as it is now."""
    stat = path.stat()
    _write_note(_notes(path), {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": sha256})


def _notes(path: Path) -> tuple[Path, Path]:
    return (
        path.with_name(f"{path.name}.sha256.json"),
        model_folder() / f"{path.name}.{path.stat().st_ino}.sha256.json",
    )


def _read_note(note: Path) -> dict[str, object] | None:
    try:
        content = json.loads(note.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and "sha256" in content else None


def _write_note(notes: tuple[Path, ...], content: dict[str, object]) -> None:
    for note in notes:
        scratch = note.with_name(f"{note.name}.{os.getpid()}")
        try:
            note.parent.mkdir(parents=True, exist_ok=True)
            scratch.write_text(json.dumps(content), "utf-8")
            scratch.replace(note)
            return
        except OSError:  # a read-only folder: the hash is computed again next time, or noted in the next place
            continue
