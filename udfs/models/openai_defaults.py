"""Where the ``openai`` provider goes when nothing says otherwise; the price table needs it too, without the backend."""

from __future__ import annotations

import os

DEFAULT_BASE_URL = "https://api.openai.com/v1"


def default_base_url() -> str:
    """``OPENAI_BASE_URL``, as the ``openai`` package reads it (which takes 0.6 s to import), or OpenAI."""
    return (os.environ.get("OPENAI_BASE_URL", "").strip() or DEFAULT_BASE_URL).rstrip("/")
