"""``CALL llm_feedback(…)`` carried out: right answers are read as labels are, and kept by what is asked of which inputs."""

from __future__ import annotations

import pyarrow as pa

from ..errors import BindError, ProgrammingError
from ..physical.labels import read_labels
from ..physical.task_keys import task_key
from ..plan.nodes import SemanticCall
from ..plan.walk import calls
from ..session import Session
from ..sql.bind import bind
from ..sql.statements.feedback import GiveFeedback
from ..store.feedback import Feedback


def kept(session: Session, statement: GiveFeedback) -> pa.Table:
    """Keep the answers; gives how many were read, and how many there are now of the call.

    Raises
    ------
    BindError : there is no such table or call, the table does not have the call's inputs and ``label``, or an answer is of a type
        that is not kept.
    """
    call = _call(session, statement)
    answers = read_labels(session.duck, call)
    task = task_key(call, session.models.find(str(call.options["model"])))
    try:
        known = Feedback(session.store).put(task, answers)
    except TypeError:
        message = f"llm_feedback keeps texts, numbers and truth values; {call.function} gives {call.output.type} here."
        raise BindError(message, statement.place, call.function) from None
    return pa.table({"answers": [len(answers)], "known": [known]})


def _call(session: Session, statement: GiveFeedback) -> SemanticCall:
    try:
        bound = bind(statement.query, session)
    except ProgrammingError as error:  # its place is one in a text that the user has not written
        raise BindError(f"llm_feedback: {error.args[0]}", statement.place) from None
    found = [] if bound is None else [node.call for node in calls(bound.plan)]
    if len(found) != 1 or found[0].truth is None:
        message = "llm_feedback takes the call as it stands in your query, such as 'LLM_FILTER(''the customer is angry'', body)'."
        raise BindError(message, statement.place)
    return found[0]
