"""Writes docs/functions.md from the functions' own declarations (``make update``); ``--check`` only says whether it is current."""

from __future__ import annotations

import sys
from pathlib import Path

from anserdb.engine.sql.common_options import (
    COMMON_OPTIONS,
    GUARANTEES,
    LABELS,
    TAKE_GUARANTEES,
    TAKE_LABELS,
    common_options,
)
from anserdb.engine.sql.dialects.form import Form
from anserdb.engine.sql.dialects.own import DIALECT as OWN
from anserdb.udfs.functions import functions
from anserdb.udfs.spec import Parameter, SemanticFunction

PAGE = Path(__file__).with_name("functions.md")
HEAD = """# Functions

This page is generated from the declarations in `udfs/functions/` by `make update`.

A NULL input gives NULL without a call. Named arguments are written `name := literal` (or `=>`). Besides its own, a
function takes these; one that only embeds takes {any} alone, and an aggregate no `examples`:

{options}
"""


def page() -> str:
    """The whole page as it should be."""
    declared = {function.sql_name: function for function in functions().values()}
    sections = {name: section(function) for name, function in declared.items()}
    sections |= {form.names[0]: expression(form) for form in OWN.forms}
    return "\n".join([head(), *(sections[name] for name in sorted(sections))])


def head() -> str:
    """What holds for all functions."""
    options = "\n".join(f"- `{option.name} :=` {option.summary}" for option in COMMON_OPTIONS)
    options += f"\n- `{LABELS.name} :=` ({', '.join(sorted(TAKE_LABELS))}) {LABELS.summary}"
    takers = ", ".join(sorted(TAKE_GUARANTEES))
    options += "".join(f"\n- `{option.name} :=` ({takers}) {option.summary}" for option in GUARANTEES)
    names = [f"`{option.name}`" for option in common_options(functions()["LLM_EMBED"])]
    return HEAD.format(any=f"{', '.join(names[:-1])} and {names[-1]}", options=options)


def expression(form: Form) -> str:
    """The section of a function that DuckDB computes itself."""
    parts = [*form.parameters, *(["…"] if form.variadic else [])]
    options = "".join(f" [, {option} := …]" for option in form.options)
    lines = [f"## {form.names[0]}", "", f"`{form.names[0]}({', '.join(parts)}{options})`", "", form.summary, ""]
    lines += [f"It gives {form.result} and asks no model.", ""]
    if form.names[1:]:
        lines += [f"Also: {', '.join(f'`{alias}`' for alias in form.names[1:])}.", ""]
    return "\n".join([*lines, "```sql", f"{form.example};", "```", ""])


def section(function: SemanticFunction) -> str:
    """One function's section."""
    lines = [f"## {function.sql_name}", "", f"`{signature(function)}`", "", function.summary, ""]
    if function.kind == "aggregate":
        lines += ["An aggregate: it sees all values of a group that are not NULL.", ""]
    literals = [
        f"`{parameter.name}`{' (or a value of each row)' if parameter.dynamic else ''}"
        for parameter in function.parameters
        if parameter.kind == "constant"
    ]
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
