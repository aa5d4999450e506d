"""Where in a text a name means a table: after FROM, JOIN and the like, unless a CTE of that name is in scope."""

from __future__ import annotations

from dataclasses import dataclass

from ..query import AFTER_TABLE, CLAUSES, parse_query
from ..tokens import Range, Text

_BEFORE = frozenset({"FROM", "JOIN", "PIVOT", "UNPIVOT", "LATERAL", "USING", "PIVOT_WIDER", "PIVOT_LONGER"})
_QUERY = ("SELECT", "FROM", "WITH", "VALUES", "PIVOT", "UNPIVOT")

_NO_NAMES = frozenset({"LATERAL", "SELECT", "FROM", "VALUES"})


@dataclass(frozen=True, slots=True)
class Name:
    """A name, part by part: of a table one to three, of a column more."""

    parts: tuple[str, ...]
    where: Range


class Places:
    """The brackets and CTEs of one text."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._opening = {closing: opening for opening, closing in text.partner.items()}
        self._around = _enclosing(text)
        self._cte_names = list[int]()
        self._scopes = list(self._find_scopes())

    def name_at(self, index: int) -> Name | None:
        """The name whose first part stands here."""
        text = self._text
        if not _is_identifier(text, index) or text.word(index - 1) == ".":
            return None
        end = index + 1
        while text.word(end) == "." and _is_identifier(text, end + 1):
            end += 2
        parts = tuple(text.source(Range(i, i + 1)).strip('"') for i in range(index, end, 2))
        return Name(parts, Range(index, end))

    def is_table(self, name: Name) -> bool:
        """Whether a name means a table or view of the catalogue."""
        return self.is_source(name.where.lo) and not (len(name.parts) == 1 and self._is_cte(name))

    def is_source(self, index: int) -> bool:
        """Whether what begins here is an item of a FROM clause."""
        text, before = self._text, self._text.word(index - 1)
        if before == ":" and _is_identifier(text, index - 2):  # FROM alias: table
            return self.is_source(index - 2)
        if before in ("SUMMARIZE", "TABLE") and index == 1:
            return True
        if before in _BEFORE:
            return self._reads_tables(index - 1)
        if before == "(" and not self._is_called(index - 1):
            return self.is_source(index - 1)
        return before == "," and self._clause_before(index - 1) == "FROM"

    def is_renamed(self, name: Name) -> bool:
        """Whether the query gives the table a name of its own."""
        return self._text.word(name.where.lo - 1) == ":" or self._text.word(name.where.hi) not in AFTER_TABLE

    def is_alias(self, name: Name) -> bool:
        """Whether a name stands behind a table (``FROM t k(a)``), or is a CTE's (``, k(a) AS (…)``)."""
        text, last = self._text, name.where.lo - 1
        if any(name.where.lo == at for at in self._cte_names):
            return True
        if text.word(last) == ")":
            return True
        while text.word(last - 1) == ".":
            last -= 2
        return _is_identifier(text, last) and text.word(last) not in _NO_NAMES and self.is_source(last)

    def _reads_tables(self, word: int) -> bool:
        text, before = self._text, self._text.word(word - 1)
        if text.word(word) != "FROM":
            return text.word(word) != "USING" or self._clause_before(word) in ("", "DELETE", "MERGE", "INTO")
        if before == "DELETE" or (before == "DISTINCT" and text.word(word - 2) in ("IS", "NOT")):
            return False
        around = self._around[word]  # EXTRACT(year FROM x), TRIM(BOTH FROM x)
        return around is None or text.word(around + 1) in _QUERY or not self._is_called(around)

    def _is_called(self, opening: int) -> bool:
        """Whether a bracket holds the arguments of a function."""
        return self._text.word(opening) != "(" or (
            _is_identifier(self._text, opening - 1)
            and self._text.word(opening - 1) not in (*_BEFORE, *CLAUSES, "AS", "AND", "OR", "NOT", "IN", "ON", "EXISTS")
        )

    def _clause_before(self, index: int) -> str:
        """The keyword of the clause that a token stands in, at its own depth; ON and USING belong to FROM."""
        text, index = self._text, index - 1
        while index >= 0 and index not in text.partner:
            word = text.word(index)
            if word in CLAUSES or word in ("DELETE", "MERGE", "INTO", "SET", "VALUES"):
                return "" if word == "FROM" and not self._reads_tables(index) else word
            index = self._opening.get(index, index) - 1
        return ""

    def _is_cte(self, name: Name) -> bool:
        at, wanted = name.where.lo, name.parts[0].lower()
        return any(cte == wanted and where.lo <= at < where.hi for cte, where in self._scopes)

    def _find_scopes(self) -> list[tuple[str, Range]]:
        """Each CTE's name, and where it can be read."""
        text, found = self._text, list[tuple[str, Range]]()
        for index in range(len(text.tokens)):
            if text.word(index) != "WITH" or text.tokens[index].quoted:
                continue
            around = self._around[index]
            end = len(text.tokens) if around is None else text.partner[around]
            query = parse_query(text, Range(index, end))
            for cte in query.ctes:
                self._cte_names.append(cte.whole.lo)
                begin = cte.whole.lo if query.recursive else cte.whole.hi
                found.append((cte.name.strip('"').lower(), Range(begin, end)))
        return found


def _enclosing(text: Text) -> list[int | None]:
    """The opening bracket around each token."""
    around: list[int | None] = []
    stack: list[int] = []
    closing = set(text.partner.values())
    for index in range(len(text.tokens)):
        if index in closing:
            stack.pop()
        around.append(stack[-1] if stack else None)
        if index in text.partner:
            stack.append(index)
    return around


def _is_identifier(text: Text, index: int) -> bool:
    if not 0 <= index < len(text.tokens):
        return False
    token = text.tokens[index]
    return token.word[:1] == '"' if token.quoted else token.word[:1].isalpha() or token.word[:1] == "_"
