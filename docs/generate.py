"""Writes docs/functions.md from the functions' own declarations (``make update``); ``--check`` only says whether it is current."""

from __future__ import annotations

import sys
from pathlib import Path

from anserdb.udfs.functions import functions
from anserdb.udfs.spec import Parameter, SemanticFunction

PAGE = Path(__file__).with_name("functions.md")
HEAD = """# Functions

This page is generated from the declarations in `udfs/functions/` by `make update`.

Named arguments are written `name := literal` (or `=>`). Besides its own, every function takes `model`, `on_error`,
`temperature`, `max_tokens` and `cache`. A NULL input gives NULL without a call.
"""


def page() -> str:
    """The whole page as it should be."""
    declared = {function.sql_name: function for function in functions().values()}
    return "\n".join([HEAD, *(section(declared[name]) for name in sorted(declared))])


def section(function: SemanticFunction) -> str:
    """One function's section."""
    lines = [f"## {function.sql_name}", "", f"`{signature(function)}`", "", function.summary, ""]
    if function.kind == "aggregate":
        lines += ["An aggregate: it sees all values of a group that are not NULL.", ""]
    literals = [f"`{parameter.name}`" for parameter in function.parameters if parameter.kind == "constant"]
    if literals:
        lines += [f"Literal: {', '.join(literals)}.", ""]
    lines += [f"- `{option.name} :=` {option.summary}" for option in function.options]
    if function.options:
        lines.append("")
    if function.aliases:
        lines += [f"Also: {', '.join(f'`{alias}`' for alias in function.aliases)}.", ""]
    return "\n".join([*lines, "```sql", f"{function.example};", "```", ""])


def signature(function: SemanticFunction) -> str:
    """The call with optional parts in brackets."""
    parts = [written(parameter, first=position == 0) for position, parameter in enumerate(function.parameters)]
    return f"{function.sql_name}({''.join([*parts, *(f' [, {option.name} := …]' for option in function.options)])})"


def written(parameter: Parameter, *, first: bool) -> str:
    """A parameter with the comma before it."""
    comma = "" if first else ", "
    text = f"{parameter.name}, …" if parameter.variadic else parameter.name
    if not (parameter.optional or parameter.variadic):
        return f"{comma}{text}"
    return f"[{text}]" if first else f" [{comma}{text}]"


def main() -> int:
    """Write or check; 1 when the check finds the page stale."""
    if "--check" in sys.argv[1:]:
        current = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page()
        print(f"{PAGE.name} is {'current' if current else 'stale: run make update'}")
        return 0 if current else 1
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
