"""Statements of our own, which DuckDB would not understand; one family a file, each with its ``parse_…``."""

from __future__ import annotations

from ..tokens import Text
from .cache import CacheStatement, CompactAnswers, DropAnswers, parse_cache
from .explain import Explain, parse_explain
from .feedback import GiveFeedback
from .grammar import Evaluate
from .model import AlterModel, CreateModel, DropModel, ModelStatement, RenameModel, ShowModels, parse_model
from .prepared import PreparedStatements
from .profile import Profile, ShowFrontier, parse_profile
from .prompt import CreatePrompt, DropPrompt, PromptStatement, ShowPrompts, parse_prompt
from .proxy import CreateProxy, DropProxy, ShowProxies, parse_proxy
from .script import names_catalogue, names_prepared, names_secret, split_statements
from .secret import SecretStatement, without_strings
from .setting import SetSetting, parse_setting
from .table_functions import TABLE_FUNCTIONS, with_table_functions
from .twins import Retry, parse_call

CatalogueStatement = (
    SetSetting | ModelStatement | PromptStatement | DropProxy | ShowProxies | SecretStatement | CacheStatement
)
Statement = CatalogueStatement | CreateProxy | GiveFeedback | Retry | Explain | Profile | ShowFrontier

__all__ = [
    "TABLE_FUNCTIONS",
    "AlterModel",
    "CatalogueStatement",
    "CompactAnswers",
    "CreateModel",
    "CreatePrompt",
    "CreateProxy",
    "DropAnswers",
    "DropModel",
    "DropPrompt",
    "DropProxy",
    "Explain",
    "GiveFeedback",
    "PreparedStatements",
    "Profile",
    "RenameModel",
    "Retry",
    "SecretStatement",
    "SetSetting",
    "ShowFrontier",
    "ShowModels",
    "ShowPrompts",
    "ShowProxies",
    "Statement",
    "names_catalogue",
    "names_prepared",
    "names_secret",
    "parse_statement",
    "split_statements",
    "with_table_functions",
    "without_strings",
]


def parse_statement(text: Text, evaluate: Evaluate) -> Statement | None:
    """Recognise a statement of ours; ``None``: it is a query or DuckDB's business.

    ``evaluate`` gives the value of a literal. Raises ParseError with what is expected.
    """
    return (
        parse_setting(text, evaluate)
        or parse_model(text, evaluate)
        or parse_prompt(text, evaluate)
        or parse_proxy(text)
        or parse_cache(text, evaluate)
        or parse_call(text, evaluate)
        or parse_explain(text)
        or parse_profile(text)
    )
