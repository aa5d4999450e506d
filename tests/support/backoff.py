"""Retries as they are, with shorter waits: for whole queries in this process that meet many failures."""

from __future__ import annotations

import pytest

from anserdb.udfs.models.wrap import retried


def shorten_backoff(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    """Divide the windows in which calls are repeated; how often, in which order and why stays as it is."""
    for name in ("FIRST_WINDOW_S", "LONGEST_WINDOW_S"):
        monkeypatch.setattr(retried, name, getattr(retried, name) / factor)
