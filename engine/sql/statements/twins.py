"""``CALL llm_…``: the statements once more, for clients that can only send SQL they know; and ``llm_retry``."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ...errors import ParseError, Position
from ..tokens import Range, Text
from .cache import CacheStatement, CompactAnswers, drop_answers
from .feedback import GiveFeedback
from .grammar import Arguments, Evaluate, arguments, expected, place
from .model import AlterModel, CreateModel, DropModel, RenameModel
from .profile import Profile
from .prompt import CreatePrompt, DropPrompt
from .proxy import CreateProxy, DropProxy, call_of


@dataclass(frozen=True, slots=True)
class Retry:
    """``CALL llm_retry('query id')``: ask again what failed, and give the whole result."""

    query_id: str
    place: Position | None = field(default=None, compare=False, repr=False)


Twin = (
    CreateModel | AlterModel | RenameModel | DropModel | CreatePrompt | DropPrompt | CreateProxy | DropProxy
    | CacheStatement | Retry | Profile | GiveFeedback
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Form:
    """How a function is called, in words and in code; ``build`` gives ``None`` where the arguments do not fit."""

    usage: str
    build: Callable[[Arguments], Twin | None]


def parse_call(text: Text, evaluate: Evaluate) -> Twin | None:
    """A CALL of one of ours; ``None``: it is DuckDB's."""
    if text.word(0) != "CALL" or not text.word(1).startswith("LLM_"):
        return None
    function = text.word(1)
    if function not in _FORMS:
        near = difflib.get_close_matches(function, _FORMS, n=1)
        known = " or ".join(_FORMS[n].usage for n in near) or ", ".join(sorted(map(str.lower, _FORMS)))
        raise ParseError(f"There is no procedure {function.lower()}. There is {known}.", place(text, Range(1, 2)))
    form = _FORMS[function]
    found = form.build(arguments(text, 2, evaluate)) if text.word(2) == "(" else None
    if found is None:
        raise expected(text, 1, f"CALL {form.usage}")
    return found


def _create_model(given: Arguments) -> CreateModel | None:
    match given.positional:
        case (str(name), dict(declared)) if name.strip() and _only(given.named, "replace", "if_not_exists"):
            options = _lowered(declared)
            provider = options.pop("provider", None)
            if not isinstance(provider, str):
                return None
            replace, exists = _flags(given, "replace", "if_not_exists")
            places = dict.fromkeys(("provider", *options), given.places["1"])
            return CreateModel(name, provider.lower(), options, replace, exists, places)
    return None


def _alter_model(given: Arguments) -> AlterModel | RenameModel | None:
    match given.positional, dict(given.named):
        case (str(name), dict(options)), {}:
            return AlterModel(name, _lowered(options), dict.fromkeys(_lowered(options), given.places["1"]))
        case (str(name),), {"rename_to": str(new_name)} if new_name.strip():
            return RenameModel(name, new_name)
    return None


def _drop_model(given: Arguments) -> DropModel | None:
    match given.positional:
        case (str(name),) if _only(given.named, "if_exists"):
            return DropModel(name, *_flags(given, "if_exists"))
    return None


def _create_prompt(given: Arguments) -> CreatePrompt | None:
    match given.positional:
        case (str(name), str(words)) if words.strip() and _only(given.named, "replace", "if_not_exists"):
            replace, exists = _flags(given, "replace", "if_not_exists")
            return CreatePrompt(name, words, replace, exists, given.places["0"])
    return None


def _drop_prompt(given: Arguments) -> DropPrompt | None:
    match given.positional:
        case (str(name),) if _only(given.named, "if_exists"):
            return DropPrompt(name, *_flags(given, "if_exists"))
    return None


def _create_proxy(given: Arguments) -> CreateProxy | None:
    match given.positional:
        case (str(name), str(written), str(query)) if name.strip() and query.strip():
            if (call := call_of(written)) is None or not _only(given.named, "replace", "if_not_exists"):
                return None
            places = given.places["0"], given.places["1"], given.places["2"]
            replace, exists = _flags(given, "replace", "if_not_exists")
            return CreateProxy(name, *call, query, replace, exists, places)
    return None


def _drop_proxy(given: Arguments) -> DropProxy | None:
    match given.positional:
        case (str(name),) if _only(given.named, "if_exists"):
            (exists,) = _flags(given, "if_exists")
            return DropProxy(name, exists, given.places["0"])
    return None


def _retry(given: Arguments) -> Retry | None:
    match given.positional:
        case (str(query_id),) if not given.named:
            return Retry(query_id, given.places["0"])
    return None


def _feedback(given: Arguments) -> GiveFeedback | None:
    match given.positional:
        case (str(table), str(call)) if table.strip() and call.rstrip().endswith(")") and not given.named:
            return GiveFeedback(table.strip(), call.strip(), given.places["1"])
    return None


def _profile(given: Arguments) -> Profile | None:
    match given.positional:
        case (str(query),) if query.strip() and not given.named:
            return Profile(query)
    return None


def _clear(given: Arguments) -> CacheStatement | None:
    return None if given.positional else drop_answers(dict(given.named), given.places.get("function"))


def _compact(given: Arguments) -> CacheStatement | None:
    return None if given.positional or given.named else CompactAnswers()


_FORMS: Mapping[str, _Form] = {
    "LLM_CREATE_MODEL": _Form(
        "llm_create_model('name', {provider: 'openai', model: '…'} [, replace := true] [, if_not_exists := true])",
        _create_model,
    ),
    "LLM_ALTER_MODEL": _Form(
        "llm_alter_model('name', {price_in: 0.4}) or llm_alter_model('name', rename_to := 'new')", _alter_model
    ),
    "LLM_DROP_MODEL": _Form("llm_drop_model('name' [, if_exists := true])", _drop_model),
    "LLM_CREATE_PROMPT": _Form(
        "llm_create_prompt('name', 'text with {column}' [, replace := true] [, if_not_exists := true])", _create_prompt
    ),
    "LLM_DROP_PROMPT": _Form("llm_drop_prompt('name' [, if_exists := true])", _drop_prompt),
    "LLM_CREATE_PROXY": _Form(
        "llm_create_proxy('name', 'LLM_FILTER(''the condition'')', 'SELECT column FROM table' [, replace := true] [, if_not_exists := true])",
        _create_proxy,
    ),
    "LLM_DROP_PROXY": _Form("llm_drop_proxy('name' [, if_exists := true])", _drop_proxy),
    "LLM_CACHE_CLEAR": _Form(
        "llm_cache_clear([model := 'small'] [, function := 'LLM_FILTER'] [, older_than := INTERVAL 7 DAY])", _clear
    ),
    "LLM_CACHE_COMPACT": _Form("llm_cache_compact()", _compact),
    "LLM_FEEDBACK": _Form("llm_feedback('table with label', 'LLM_FILTER(''the condition'', column)')", _feedback),
    "LLM_PROFILE": _Form("llm_profile('query')", _profile),
    "LLM_RETRY": _Form("llm_retry('query id')", _retry),
}


def _only(named: Mapping[str, object], *flags: str) -> bool:
    return all(name in flags and isinstance(value, bool) for name, value in named.items())


def _flags(given: Arguments, *names: str) -> tuple[bool, ...]:
    return tuple(given.named.get(name) is True for name in names)


def _lowered(options: Mapping[object, object]) -> dict[str, object]:
    return {str(name).lower(): value for name, value in options.items()}
