"""The ``sem_*`` operators of LOTUS and Palimpzest that are not merely another name for ours."""

from __future__ import annotations

from collections.abc import Callable

from .form import Dialect, Form
from .parts import Parts
from .spoken import Spoken


def _as(function: str) -> Callable[[Spoken], Parts]:
    """The same arguments under our name."""

    def rewrite(call: Spoken) -> Parts:
        return call.call(function, [(where,) for where in call.written.arguments])

    return rewrite


_FILMS = "FROM (VALUES ('A quiet film about geese'), ('The loudest car chase')) AS films(title)"


def _form(name: str, function: str, result: str, summary: str, example: str) -> Form:
    return Form(
        names=(name,),
        parameters=("instruction",),
        variadic=True,
        rewrite=_as(function),
        needs=(function,),
        result=result,
        summary=summary,
        example=example,
    )


DIALECT = Dialect(
    name="LOTUS",
    summary="Instructions name columns in braces, as they do there. Operators over whole tables are SQL here: `sem_topk` is "
    "`ORDER BY LLM_SCORE(…) DESC LIMIT k`, `sem_join` a condition in `JOIN … ON`.",
    same=("SEM_FILTER", "SEM_EXTRACT", "SEM_AGG", "SEM_CLASSIFY", "SEM_EMBED", "SEM_SCORE", "SEM_SIMILARITY"),
    forms=(
        _form(
            "SEM_MAP", "LLM_COMPLETE", "VARCHAR", "The answer to an instruction about each row.",
            f"SELECT sem_map('Which animal is {{title}} about?', title) AS animal\n{_FILMS}",
        ),
        _form(
            "SEM_JOIN", "LLM_FILTER", "BOOLEAN", "Whether a condition holds for a pair of rows.",
            f"SELECT title, mood\n{_FILMS}\nJOIN (VALUES ('calm'), ('wild')) AS moods(mood) ON sem_join('{{title}} is {{mood}}', title, mood)",
        ),
        _form(
            "SEM_SIM", "LLM_SIMILARITY", "DOUBLE", "How near two texts are in meaning.",
            f"SELECT sem_sim(title, 'birds in autumn') AS nearness\n{_FILMS}",
        ),
    ),
)  # fmt: skip
