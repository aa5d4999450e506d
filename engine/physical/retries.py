"""``llm_retry``: what is kept of a query with failed rows, and how it is found again.

Answers are in the store under what was asked, and failures are not. So running the statement again, as it was, asks only
what failed; all that has to be kept is the statement.
"""

from __future__ import annotations

import difflib
import time
from contextlib import suppress

from ...udfs.models.http_errors import holds_key
from ..dataflow.run import QueryRun
from ..errors import BindError, Error, NotSupportedError
from ..plan.nodes import Relation
from ..plan.walk import calls
from ..sql.prompt_names import referred
from ..sql.statements import Retry
from ..store import Store, StoredQuery

MEANING = ("llm_model", "llm_embedding_model", "llm_on_error", "llm_input_order")
"""Settings that decide what is asked, and what comes of a failure; a retry takes these as they were. All others (timeouts,
caps, concurrency) are today's, because changing one of them may be why the user tries again."""
PROMPTS = "prompts"
"""Beside the settings: which version of a prompt its bare name meant."""


def keep(run: QueryRun, sql: str, plan: Relation, *, is_query: bool) -> None:
    """Keep a statement whose run had failures.

    Parameters
    ----------
    sql : the statement with its parameters' values. plan : as it ran. is_query : it changes nothing.
    """
    failed = run.error is not None or any(site.failed for site in run.progress.sites.values())
    if not failed:
        return
    refusal = _refusal(sql, plan, is_query)
    settings = {name: getattr(run.settings, name) for name in MEANING}
    with suppress(Error):  # a full disk has been reported where it cost an answer; this is only a convenience
        versions = referred(sql, run.store.prompts.all())
        kept = "" if refusal else sql
        query = StoredQuery(run.query_id, time.time(), kept, {**settings, PROMPTS: versions}, refusal)
        run.store.queries.put(query).result()


def find(store: Store, statement: Retry) -> StoredQuery:
    """The statement that a retry names.

    Raises
    ------
    BindError : no such query is kept. NotSupportedError : it cannot be run again, and why.
    """
    query = store.queries.find(statement.query_id)
    if query is None:
        near = difflib.get_close_matches(statement.query_id, store.queries.ids(), n=2)
        raise BindError(
            f"No query {statement.query_id} is kept: it had no failed rows, or is long ago. llm_errors() has the ids.",
            statement.place,
            statement.query_id,
            near,
        )
    if query.refusal:
        raise NotSupportedError(
            f"Query {query.query_id} cannot be retried: {query.refusal}. Run the statement again yourself; answers that "
            "are in the store are not asked for again."
        )
    return query


def _refusal(sql: str, plan: Relation, is_query: bool) -> str:
    """Why a statement is not kept; "": it is."""
    if not is_query:
        return "it changes data, and might change it twice"
    if not all(call.call.options["cache"] for call in calls(plan)) or not all(
        call.options["cache"] for call in plan.embedded
    ):
        return "it ran without the cache, so its answers were not kept either"
    if holds_key(sql):
        return "its text was not kept, because it seems to hold a key"
    return ""
