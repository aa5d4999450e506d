"""The four applications of ``bench-ancestry`` in SQL, and their documents."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal


@dataclass(frozen=True, slots=True)
class Document:
    """One row of the table.

    Parameters
    ----------
    body : a sentence per item. task : asks for as many items. passages : what can be found about each.
    """

    id: int
    body: str
    task: str
    passages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class App:
    """An application.

    Parameters
    ----------
    name : of its graph. sql : over ``docs(id, body, task, passages)``. child : what the model is asked first about an item.
    """

    name: str
    title: str
    sql: str
    child: Literal["verdict", "text"] = "verdict"


APPS = (
    App(
        "fact_check",
        "split into claims → verify each → aggregate",
        """
SELECT d.id, LLM_AGG(s.claim || ': ' || CASE WHEN LLM_FILTER('the claim is true', s.claim) THEN 'true' ELSE 'false' END,
                     'Which of these claims are false?')
FROM docs d, LATERAL LLM_SPLIT(d.body, 'claims') s(claim)
GROUP BY d.id
""",
    ),
    App(
        "beam",
        "generate thoughts → score each → expand the best → answer",
        """
SELECT d.id, LLM_COMPLETE('Give the answer', any_value(d.task),
    LLM_COMPLETE('Carry the step on to the end', any_value(d.task),
        arg_max(t.step, LLM_SCORE('the step leads to the solution', d.task, t.step))))
FROM docs d, LATERAL LLM_EXTRACT_TABLE(d.task, {step: 'VARCHAR'}) t(step)
GROUP BY d.id
""",
    ),
    App(
        "retrieval",
        "sub-questions → retrieve, answer and verify each → aggregate",
        """
SELECT d.id, LLM_AGG(LLM_COMPLETE('Answer the query from the passage', q.query,
                                  list_filter(d.passages, lambda p: contains(p, q.query))[1]),
                     'Answer the task from these answers')
FROM docs d, LATERAL LLM_EXTRACT_TABLE(d.task, {query: 'VARCHAR'}) q(query)
WHERE LLM_FILTER('the answer follows from the passage',
                 LLM_COMPLETE('Answer the query from the passage', q.query,
                              list_filter(d.passages, lambda p: contains(p, q.query))[1]),
                 list_filter(d.passages, lambda p: contains(p, q.query))[1])
GROUP BY d.id
""",
        child="text",
    ),
    App(
        "digest",
        "split into sentences → filter → summarise",
        """
SELECT d.id, LLM_SUMMARIZE(s.part)
FROM docs d, LATERAL LLM_SPLIT(d.body, 'sentences') s(part)
WHERE LLM_FILTER('it is about delivery', s.part)
GROUP BY d.id
""",
    ),
)


def documents(first: int, count: int, least: int, most: int) -> list[Document]:
    """So many documents of ``least`` to ``most`` items, the same every time."""
    dice = Random(first)
    return [_document(number, dice.randint(least, most)) for number in range(first, first + count)]


def _document(number: int, size: int) -> Document:
    names = [f"#{number}.{item}" for item in range(size)]
    return Document(
        number,
        " ".join(f"{name} the parcel came." for name in names) or f"Nothing in #{number}.",
        f"Task #{number} in {size} ways",
        tuple(f"{name} tries what this passage explains." for name in names),
    )
