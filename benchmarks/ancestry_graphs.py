"""The four applications of ``bench-ancestry`` as LangGraph programs: map-reduce by ``Send``, as its users write it.

The prompts are those of AnserDB's functions, so that the same requests leave; the server's log shows whether they are.
Where a step follows another for one item alone (answer, then verify), one node does both, so that no barrier is between them.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from anserdb.engine.types import parse_type
from anserdb.udfs.functions import functions
from anserdb.udfs.models.base import Capabilities, Generate
from anserdb.udfs.models.chat_format import Dialect
from anserdb.udfs.spec import DYNAMIC, Arguments

MODEL = "simulated"
Ask = Callable[[dict[str, Any]], Awaitable[str]]
"""Sends a request's body, gives the answer's text."""


class State(TypedDict):
    """Of one document. ``found`` gathers what the items gave, in their order."""

    id: int
    body: str
    task: str
    passages: tuple[str, ...]
    items: list[str]
    found: Annotated[list[Any], operator.add]
    best: str
    answer: str


class Item(TypedDict):
    """What is sent for one item. ``about`` : what else there is to know of its document."""

    item: str
    about: Any


class Prompt:
    """A semantic function's requests.

    Parameters
    ----------
    name : of the function. texts : its arguments in SQL. constants : ``_n``: the nth argument, where it is a literal.
    """

    def __init__(self, name: str, *texts: str, **constants: Any) -> None:
        given = tuple(constants.get(f"_{number}", DYNAMIC) for number in range(len(texts)))
        arguments = Arguments(given, (parse_type("VARCHAR"),) * len(texts), texts, {})
        self._task = functions()[name].lower(arguments, Capabilities())
        self._dialect = Dialect(MODEL)

    def about(self, *values: Any) -> dict[str, Any]:
        """The one request about a row."""
        (request,) = self._task.requests(values)
        assert isinstance(request, Generate)
        return self._dialect.chat(request)


def is_yes(answer: str) -> bool:
    """What a verdict says."""
    return bool(json.loads(answer)["answer"] == "Yes")


def fact_check(ask: Ask) -> Any:
    """Split, verify each, aggregate."""
    split = Prompt("LLM_SPLIT", "d.body", "", _1="claims")
    check = Prompt("LLM_FILTER", "", "s.claim", _0="the claim is true")
    whole = Prompt("LLM_AGG", "s.claim || ': '", "", _1="Which of these claims are false?")

    async def begin(state: State) -> dict[str, Any]:
        return {"items": json.loads(await ask(split.about(state["body"])))["parts"]}

    async def each(item: Item) -> dict[str, Any]:
        verdict = "true" if is_yes(await ask(check.about(item["item"]))) else "false"
        return {"found": [f"{item['item']}: {verdict}"]}

    async def end(state: State) -> dict[str, Any]:
        return {"answer": await ask(whole.about(state["found"]))}

    return _map_reduce(begin, each, end)


def beam(ask: Ask) -> Any:
    """Generate, score each, expand the best, answer."""
    think = Prompt("LLM_EXTRACT_TABLE", "d.task", "", _1={"step": "VARCHAR"})
    score = Prompt("LLM_SCORE", "", "d.task", "t.step", _0="the step leads to the solution")
    more = Prompt("LLM_COMPLETE", "", "any_value(d.task)", "arg_max(t.step)", _0="Carry the step on to the end")
    last = Prompt("LLM_COMPLETE", "", "any_value(d.task)", "LLM_COMPLETE()", _0="Give the answer")

    async def begin(state: State) -> dict[str, Any]:
        return {"items": [row["step"] for row in json.loads(await ask(think.about(state["task"])))["rows"]]}

    async def each(item: Item) -> dict[str, Any]:
        given = json.loads(await ask(score.about(item["about"], item["item"])))["score"]
        return {"found": [(given, item["item"])]}

    async def expand(state: State) -> dict[str, Any]:
        _, best = max(state["found"], key=operator.itemgetter(0))
        return {"best": await ask(more.about(state["task"], best))}

    async def end(state: State) -> dict[str, Any]:
        return {"answer": await ask(last.about(state["task"], state["best"]))}

    return _map_reduce(begin, each, expand, end, about=lambda state: state["task"])


def retrieval(ask: Ask) -> Any:
    """Sub-questions; retrieve, answer and verify each; aggregate."""
    plan = Prompt("LLM_EXTRACT_TABLE", "d.task", "", _1={"query": "VARCHAR"})
    reply = Prompt("LLM_COMPLETE", "", "q.query", "list_filter()[1]", _0="Answer the query from the passage")
    check = Prompt("LLM_FILTER", "", "LLM_COMPLETE()", "list_filter()[1]", _0="the answer follows from the passage")
    whole = Prompt("LLM_AGG", "LLM_COMPLETE()", "", _1="Answer the task from these answers")

    async def begin(state: State) -> dict[str, Any]:
        return {"items": [row["query"] for row in json.loads(await ask(plan.about(state["task"])))["rows"]]}

    async def each(item: Item) -> dict[str, Any]:
        query = item["item"]
        passage = next(passage for passage in item["about"] if query in passage)
        answer = await ask(reply.about(query, passage))
        return {"found": [answer] if is_yes(await ask(check.about(answer, passage))) else []}

    async def end(state: State) -> dict[str, Any]:
        return {"answer": await ask(whole.about(state["found"]))} if state["found"] else {}

    return _map_reduce(begin, each, end, about=lambda state: state["passages"])


def digest(ask: Ask) -> Any:
    """Split, filter, summarise."""
    split = Prompt("LLM_SPLIT", "d.body", "", _1="sentences")
    check = Prompt("LLM_FILTER", "", "s.part", _0="it is about delivery")
    whole = Prompt("LLM_SUMMARIZE", "s.part")

    async def begin(state: State) -> dict[str, Any]:
        return {"items": json.loads(await ask(split.about(state["body"])))["parts"]}

    async def each(item: Item) -> dict[str, Any]:
        return {"found": [item["item"]] if is_yes(await ask(check.about(item["item"]))) else []}

    async def end(state: State) -> dict[str, Any]:
        return {"answer": await ask(whole.about(state["found"]))} if state["found"] else {}

    return _map_reduce(begin, each, end)


GRAPHS: dict[str, Callable[[Ask], Any]] = {
    "fact_check": fact_check,
    "beam": beam,
    "retrieval": retrieval,
    "digest": digest,
}


def _map_reduce(begin: Any, each: Any, *after: Any, about: Callable[[State], Any] = lambda _: None) -> Any:
    """``begin`` finds items, ``each`` is done for all of them at once, then the others one after the other."""

    def spread(state: State) -> Any:
        return [Send("each", {"item": item, "about": about(state)}) for item in state["items"]] or END

    graph = StateGraph(State)
    graph.add_node("begin", begin)
    graph.add_node("each", each)
    graph.add_edge(START, "begin")
    graph.add_conditional_edges("begin", spread, ["each", END])
    before = "each"
    for number, node in enumerate(after):
        name = f"after {number}"
        graph.add_node(name, node)
        graph.add_edge(before, name)
        before = name
    graph.add_edge(before, END)
    return graph.compile()
