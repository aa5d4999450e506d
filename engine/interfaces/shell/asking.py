"""A question to whoever sits at the terminal."""

from __future__ import annotations

import signal

YES = ("y", "yes")


def yes(question: str) -> bool:
    """Print the question and wait for y or n; everything else, Ctrl-C and Ctrl-D are a no.

    While a statement runs Ctrl-C only leaves word; here it has to end the waiting.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return input(f"{question} Run it? [y/N] ").strip().lower() in YES
    except (EOFError, KeyboardInterrupt):
        print()
        return False
    finally:
        signal.signal(signal.SIGINT, before)
