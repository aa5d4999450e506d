"""Writes docs/dialects.md from the declarations in engine/sql/dialects/ (``make update``); ``--check`` only says whether it is current."""

from __future__ import annotations

import sys
from pathlib import Path

import anserdb
from anserdb.engine.session import Session
from anserdb.engine.sql.dialects import DIALECTS
from anserdb.engine.sql.dialects.form import IGNORED, Dialect, Form
from anserdb.engine.sql.dialects.rewrite import rewrite
from anserdb.engine.sql.tokens import Text
from anserdb.udfs.functions import functions

PAGE = Path(__file__).with_name("dialects.md")
HEAD = """# Dialects

This page is generated from the declarations in `engine/sql/dialects/` by `make update`.

A query written for another system runs here: its calls are rewritten, as text, into calls of `LLM_*`, and the rest of the
statement stays as it is ([ADR 9](adr/0009-dialects-are-rewritten-as-text.md)). What all of them share:

- **Prompts.** Other systems put a prompt together from text and columns. Here its literals become the instruction and its
  columns become data, whichever way it is written: `'Rude? ' || body`, `CONCAT('Rude? ', body)`, `('Rude? ', body)`,
  `PROMPT('Rude? {0}', body)`.
- **Models.** A model that `SHOW MODELS` does not list is answered by the default model, with a notice. `CREATE MODEL` under
  that name gives it one of its own.
- **Options.** The options of our own functions, such as `on_error`, `temperature` or `cache`, may be given to every form. An
  option of the system's that has no meaning here is accepted with a notice; one that it does not have is an error.
- **NULL** in an input gives NULL, without a call.
- Functions of your own come first: a macro `prompt` is called as before.
"""


def page() -> str:
    """The whole page as it should be."""
    with anserdb.connect(store=":memory:", llm_model="scripted", llm_embedding_model="scripted") as connection:
        session = connection._open_session()
        return "\n".join([HEAD, *(section(dialect, session) for dialect in DIALECTS)])


def section(dialect: Dialect, session: Session) -> str:
    """One system's section."""
    known = functions()
    lines = [f"## {dialect.name}", "", dialect.summary, ""]
    same = [f"`{name}` is `{known[name].sql_name}`" for name in dialect.same if name in known]
    if same:
        lines += [f"As they are: {', '.join(same)}.", ""]
    shown = [form for form in dialect.forms if all(name in known for name in form.needs)]
    return "\n".join([*lines, *(described(form, session) for form in shown)])


def described(form: Form, session: Session) -> str:
    """One form: how it is called, what it gives, an example and what that is rewritten to."""
    spoken = rewrite(Text(form.example), session)
    assert spoken is not None, form.example
    title = ", ".join(form.names)
    lines = [f"### {title}", "", f"`{signature(form)}` → {form.result}", "", form.summary, ""]
    ignored = [f"`{name}`" for name, meaning in form.options.items() if meaning == IGNORED]
    if ignored:
        lines += [f"Without meaning here: {', '.join(ignored)}.", ""]
    return "\n".join(
        [*lines, "```sql", f"{form.example};", "```", "", "is rewritten to", "", "```sql", f"{spoken.sql};", "```", ""]
    )


def signature(form: Form) -> str:
    """The call with optional parts in brackets."""
    required = ", ".join(form.parameters[: form.required])
    optional = "".join(f" [, {name}]" for name in form.parameters[form.required :])
    more = " [, …]" if form.variadic else ""
    named = [name for name, meaning in form.options.items() if name not in form.parameters and meaning != IGNORED]
    return f"{form.names[0]}({required}{optional}{more}{''.join(f' [, {name} => …]' for name in named)})"


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
