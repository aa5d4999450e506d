"""``LLM_TRANSLATE``: a text in another language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...engine.types import VARCHAR
from ..models.base import Capabilities
from ..prompts.inputs import controlled, input_names
from ..prompts.rewriting import RewriteTask
from ..prompts.row_values import RowValues
from ..spec import DYNAMIC, Arguments, Option, Parameter, SemanticFunction

# Small models know a language by its name; other dialects name it by its code (ISO 639-1).
_LANGUAGES: Mapping[str, str] = dict(
    pair.split("=")
    for pair in [
        "ar=Arabic",
        "bg=Bulgarian",
        "ca=Catalan",
        "cs=Czech",
        "da=Danish",
        "de=German",
        "el=Greek",
        "en=English",
        "es=Spanish",
        "et=Estonian",
        "fa=Persian",
        "fi=Finnish",
        "fr=French",
        "he=Hebrew",
        "hi=Hindi",
        "hr=Croatian",
        "hu=Hungarian",
        "id=Indonesian",
        "it=Italian",
        "ja=Japanese",
        "ko=Korean",
        "lt=Lithuanian",
        "lv=Latvian",
        "nl=Dutch",
        "no=Norwegian",
        "pl=Polish",
        "pt=Portuguese",
        "ro=Romanian",
        "ru=Russian",
        "sk=Slovak",
        "sl=Slovenian",
        "sr=Serbian",
        "sv=Swedish",
        "th=Thai",
        "tr=Turkish",
        "uk=Ukrainian",
        "vi=Vietnamese",
        "zh=Chinese",
    ]
)
_LONGEST = 60
_FORM = "Answer with the translation only, without its name, introduction or comment."


def _language(value: Any) -> str:
    """A language's name, from its name or code.

    >>> _language("de"), _language(" Swiss German ")
    ('German', 'Swiss German')
    """
    if not isinstance(value, str) or not 0 < len(value.strip()) <= _LONGEST or len(value.split("\n")) > 1:
        raise ValueError("takes a language, such as 'German' or 'de'")
    return _LANGUAGES.get(value.strip().lower(), controlled(value.strip()))


def _lower(arguments: Arguments, _: Capabilities) -> RewriteTask:
    options, constants = arguments.options, arguments.constants
    source = f" from {options['from_language']}" if options.get("from_language") else ""
    (name,) = input_names(arguments.texts[:1])
    if constants[1] is DYNAMIC:  # a row's word for a language stays data
        names: tuple[str, ...] = (name, "target language")
        inputs, task = constants, f"Translate the first input{source} into the language that the target language names."
    else:
        names, inputs, task = (name,), constants[:1], f"Translate the input{source} into {_target(constants[1])}."
    return RewriteTask(
        system=f"{task} {_FORM}",
        names=names,
        values=RowValues(inputs, tuple(value is DYNAMIC for value in inputs)),
        temperature=options.get("temperature") or 0.0,
        max_tokens=options.get("max_tokens"),
    )


def _target(value: Any) -> str:
    try:
        return _language(value)
    except ValueError as error:
        raise ValueError(f"LLM_TRANSLATE: to {error}, not {value!r}.") from None


FUNCTION = SemanticFunction(
    sql_name="LLM_TRANSLATE",
    aliases=("AI_TRANSLATE", "SEM_TRANSLATE"),
    parameters=(Parameter("input"), Parameter("to")),
    options=(Option("from_language", _language, "the text's own language; found out by the model if not given"),),
    returns=lambda *_: VARCHAR,
    lower=_lower,
    summary="The text in another language, given by its name or its two-letter code.",
    example="""
SELECT LLM_TRANSLATE(body, 'German') AS deutsch
FROM (VALUES ('The kettle arrived broken.')) AS tickets(body)
""".strip(),
)
