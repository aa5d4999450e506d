"""``python -m anserdb`` is ``anser``."""

from __future__ import annotations

from .engine.interfaces.cli import main

if __name__ == "__main__":
    main()
