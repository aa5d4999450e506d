"""``anserdb.load()``: semantic functions on a plain DuckDB connection."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import duckdb
import pyarrow as pa
from duckdb.func import FunctionNullHandling, PythonUDFType

from ...udfs.functions import functions
from ...udfs.models.base import Model
from ...udfs.spec import SemanticFunction
from ..dataflow.progress import QueryProgress
from ..errors import Interrupted, NotSupportedError
from ..settings import Settings
from ..store import Store
from .close_later import close_later, start_closer
from .duckdb_chunks import Chunks
from .duckdb_macros import macro, returns_vector, table_macro
from .store_place import StorePlace, store_place
from .translate import translated

_numbers = itertools.count(1)
_loaded: set[Loaded] = set()


def load(connection: duckdb.DuckDBPyConnection, *, store: StorePlace = None, **settings: Any) -> Loaded:
    """Add ``llm_filter``, ``llm_extract`` and the other functions (``SELECT * FROM llm_functions()`` on an AnserDB
    connection lists them) to a DuckDB connection, the way an extension would.

    DuckDB runs the query; it hands rows to us in chunks of at most 2,048. The rows of a chunk are asked concurrently, equal
    ones once; answers are kept in the store and reused. NULL gives NULL without a call.

    Parameters
    ----------
    connection : where the functions go. It stays yours; cursors made from it need a ``load`` of their own.
    store : as for :func:`anserdb.connect`.
    settings : any ``llm_…`` setting; later changes go through ``.settings``. Caps on calls and money count from here, or
        from the last ``reset()``, over all queries.

    Returns
    -------
    A handle with ``progress``, ``notices``, ``usage()``, ``error``, ``interrupt()``, ``reset()`` and ``unload()``.

    Raises
    ------
    BindError : an unknown setting. OperationalError : the store cannot be opened.

    Notes
    -----
    Inside DuckDB there is no plan of ours. It may ask for more rows than a LIMIT shows and puts cheap conditions first only
    when they are simple; ``EXPLAIN`` knows no prices. DuckDB's own interrupt is heard at the end of a chunk, and Ctrl-C only
    when its call returns; ``interrupt()`` of the handle, from another thread, stops at once. Inputs have no names: ``{0}``, ``{1}`` in an instruction refer to them by position. At most eight inputs.
    Instructions, labels and fields may vary by row; each distinct one is bound, and calibrated, by itself. ``llm_extract``
    and ``returns :=`` need literal types. ``llm_summarize`` takes no FILTER, DISTINCT or ORDER BY. ``llm_embed`` gives
    FLOAT[]: cast it to FLOAT[n] for array functions. Errors reach you as ``duckdb.InvalidInputException`` with our text;
    ``error`` has the original.

    >>> con = duckdb.connect()
    >>> anser = load(con, store=":memory:", llm_model="scripted")
    >>> con.sql("SELECT llm_extract('Two kettles', {item: 'VARCHAR', count: 'INTEGER'}) AS x").types
    [STRUCT(item VARCHAR, count INTEGER)]
    >>> anser.unload()
    """
    chosen = Settings()
    for name, value in settings.items():
        chosen.assign(name, value)
    if chosen.llm_confirm_usd is not None:
        raise NotSupportedError(
            "llm_confirm_usd needs an estimate, and DuckDB's plan has none: leave it out, and set llm_max_cost_usd, or use "
            "anserdb.connect(connection)."
        )
    with translated():
        opened = Store.open(store_place(store, connection))
        return Loaded(connection, Chunks(opened, chosen))


class Loaded:
    """What :func:`load` added. The functions work until :meth:`unload`, or until the connection is gone."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, chunks: Chunks) -> None:
        self._chunks = chunks
        self._macros: list[str] = []
        self._natives: list[str] = []
        self._connection: weakref.ref[duckdb.DuckDBPyConnection] = weakref.ref(connection, self._gone)
        try:
            self._add(connection, next(_numbers))
        except BaseException:
            self.unload()
            raise
        _loaded.add(self)
        start_closer()

    @property
    def settings(self) -> Settings:
        """The ``llm_…`` settings; ``settings.assign(name, value)`` changes one for the queries to come."""
        return self._chunks.settings

    @property
    def progress(self) -> QueryProgress:
        """Rows, calls, tokens and money since :meth:`reset`, per function and instruction."""
        return self._chunks.run.progress

    @property
    def notices(self) -> list[str]:
        """What you should read beside the results."""
        return self._chunks.run.notices

    @property
    def error(self) -> BaseException | None:
        """The last error as it was raised here."""
        return self._chunks.error

    def usage(self) -> pa.Table:
        """Calls, tokens and money per model and function, of all queries that the store remembers."""
        return self._chunks.store.query("usage")

    def errors(self) -> pa.Table:
        """Rows that failed, newest first."""
        return self._chunks.store.query("errors")

    def register_model(self, name: str, model: Model) -> None:
        """Make a model object callable under ``name``, as :meth:`anserdb.Connection.register_model` does."""
        self._chunks.models.register(name, model)

    def reset(self) -> None:
        """Begin to count calls and money anew; what is under way counts where it began."""
        self._chunks.reset()

    def interrupt(self) -> None:
        """Stop the running query, from any thread. Answers already received are kept."""
        run = self._chunks.run
        self._chunks.reset()
        run.cancel(Interrupted("The query was stopped. Answers already received are kept."))
        connection = self._connection()
        if connection is not None:
            connection.interrupt()

    def unload(self) -> None:
        """Take the functions away and close models and store; idempotent."""
        _loaded.discard(self)
        connection = self._connection()
        if connection is not None:
            for name in self._macros:
                _quietly(partial(connection.execute, f"DROP {name}"))
            for name in self._natives:
                _quietly(partial(connection.remove_function, name))
        self._macros, self._natives = [], []
        self._chunks.close()

    def __enter__(self) -> Loaded:
        return self

    def __exit__(self, *_: object) -> None:
        self.unload()

    def _add(self, connection: duckdb.DuckDBPyConnection, number: int) -> None:
        for function in {f.sql_name: f for f in functions().values()}.values():
            native = f"__anser_{function.sql_name.lower()}_{number}"
            connection.create_function(
                native,
                _native(self._chunks, function),
                None,
                "FLOAT[]" if returns_vector(function) else "VARCHAR",
                type=PythonUDFType.ARROW,
                null_handling=FunctionNullHandling.SPECIAL,
                side_effects=True,
            )
            self._natives.append(native)
            for name in (function.sql_name, *function.aliases):
                connection.execute(macro(function, name, native, self.settings.llm_on_error))
                self._macros.append(f"MACRO IF EXISTS temp.{name.lower()}")
                if function.to_many:
                    connection.execute(table_macro(function, name, self.settings.llm_on_error))
                    self._macros.append(f"MACRO TABLE IF EXISTS temp.{name.lower()}")

    def _gone(self, _: object) -> None:
        if self in _loaded:
            _loaded.discard(self)
            close_later(self._chunks.close)  # this is a finaliser


def _native(chunks: Chunks, function: SemanticFunction) -> Callable[..., pa.ChunkedArray]:
    def answer(*columns: Any) -> pa.ChunkedArray:
        calls, *inputs = (c.combine_chunks() if isinstance(c, pa.ChunkedArray) else c for c in columns)
        return chunks.answer(function, calls, inputs)

    return answer


def _quietly(action: Callable[[], object]) -> None:
    with contextlib.suppress(duckdb.Error):  # the connection is closed: it has forgotten by itself
        action()


@atexit.register
def _unload_all() -> None:
    for loaded in list(_loaded):
        loaded.unload()
