"""What pip is told on this machine, so that model files come over the same roads as packages."""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from importlib.util import find_spec


@lru_cache(maxsize=8)
def pip_setting(name: str) -> str:
    """A value of pip's ``[global]`` configuration; "" without pip or without the setting."""
    if find_spec("pip") is None:
        return ""
    command = [sys.executable, "-m", "pip", "config", "get", f"global.{name}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=15, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
