"""Questions with known answers about public tables: the share of TRUE is counted from labels, not asked of a model.

The tables are those of the shared data (see its MANIFEST). Instructions are worded as a user would; none was changed after figures were seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@dataclass(frozen=True, slots=True)
class Predicate:
    """A question about each row of a table, and the share of rows for which it is TRUE."""

    table: str
    instruction: str
    share: float


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with labels: file (without its ending), the text that is asked about, and questions by instruction with their truth in SQL."""

    file: str
    text: str
    questions: Mapping[str, str]


TABLES = (
    Table(
        "extract/e2e_restaurants_dev",
        "text",
        {
            "The text says that the place is in the city centre": "area = 'city centre'",
            "The place is near a river": "area = 'riverside'",
            "The place is suitable for children": "family_friendly = 'yes'",
            "The text says that the place is not for families": "family_friendly = 'no'",
            "The place serves Chinese food": "food = 'Chinese'",
            "The place serves English food": "food = 'English'",
            "It is a coffee shop": "eat_type = 'coffee shop'",
            "Customers rate the place highly": "customer_rating IN ('high', '5 out of 5')",
            "The place has a bad rating": "customer_rating IN ('low', '1 out of 5')",
            "The text states what the customers think of the place": "customer_rating IS NOT NULL",
            "It is expensive": "price_range IN ('high', 'more than £30')",
            "It is cheap": "price_range IN ('cheap', 'less than £20')",
            "No price is given": "price_range IS NULL",
            "The place is near a Burger King": "near = 'Burger King'",
            "The text names another place nearby": "near IS NOT NULL",
        },
    ),
    Table(
        "text/banking77_train",
        "text",
        {
            "The customer writes about a card": "category LIKE '%card%' OR category LIKE '%contactless%' OR category = 'visa_or_mastercard'",
            "The customer writes about a top-up": "category LIKE '%top_up%' OR category LIKE 'topping_up%'",
            "The customer asks about a transfer": "category LIKE '%transfer%' OR category = 'beneficiary_not_allowed'",
            "The customer asks about exchange rates or foreign currencies": "category LIKE '%exchange%' OR category = 'fiat_currency_support'",
            "The customer complains about a fee or a charge": "category LIKE '%fee%' OR category LIKE '%charge'",
            "The customer wants money back": "lower(category) LIKE '%refund%'",
            "The customer has lost a card or a phone": "category LIKE 'lost_or_stolen%'",
            "The customer asks about cash withdrawals or cash machines": "category LIKE '%cash_withdrawal%' OR category IN ('atm_support', 'wrong_amount_of_cash_received', 'card_swallowed')",
            "The customer asks about proving who they are": "category LIKE '%verify_my_identity' OR category = 'why_verify_identity'",
            "The customer forgot a PIN or passcode, or wants to change it": "category IN ('change_pin', 'pin_blocked', 'passcode_forgotten')",
            "Something was declined or has failed": "category LIKE 'declined%' OR category LIKE '%failed%' OR category LIKE '%not_working'",
            "The customer wants to close the account": "category = 'terminate_account'",
            "The message is not about a card": "NOT (category LIKE '%card%' OR category LIKE '%contactless%' OR category = 'visa_or_mastercard')",
        },
    ),
    Table(
        "extract/restaurant8k",
        "text",
        {
            "The guest says at what time": "time IS NOT NULL",
            "The guest says for how many people": "people IS NOT NULL",
            "The guest names a day": "date IS NOT NULL",
            "The guest gives a name": "first_name IS NOT NULL OR last_name IS NOT NULL",
            "The guest says both a day and a time": "date IS NOT NULL AND time IS NOT NULL",
            "The guest states nothing that a booking needs": "coalesce(time, people, date, first_name, last_name) IS NULL",
        },
    ),
    Table(
        "cascade/headlines_gold_price_train",
        "headline",
        {
            "The price of gold goes up": "direction = 'up'",
            "The price of gold falls": "direction = 'down'",
            "The headline says nothing about where the price goes": "direction = 'none'",
            "The price of gold does not change": "direction = 'neutral'",
            "The headline says that the price moves": "direction IN ('up', 'down')",
        },
    ),
    Table(
        "text/rt_polarity",
        "review",
        {
            "The reviewer likes the film": "sentiment = 'POSITIVE'",
            "The review is negative": "sentiment = 'NEGATIVE'",
        },
    ),
    Table(
        "sembench/movie_reviews",
        "reviewText",
        {
            "The review is clearly positive": "label = 'POSITIVE'",
            "The critic does not recommend the film": "label = 'NEGATIVE'",
            "The full review is in another language": "reviewText LIKE '%Full Review in%' OR reviewText LIKE '%Full review in%'",
        },
    ),
    Table(
        "claims/fever_symmetric_dev",
        "claim || ' ' || evidence",
        {
            "The evidence supports the claim": "label = 'SUPPORTS'",
            "The evidence refutes the claim": "label = 'REFUTES'",
        },
    ),
    Table(
        "extract/xquad_questions",
        "question",
        {
            "The answer is a number or a date": "regexp_matches(answer, '[0-9]')",
            "The question asks for a person": "question ILIKE 'who%'",
            "The question asks when something happened": "question ILIKE 'when%' OR question ILIKE '%what year%'",
            "The question asks how many": "question ILIKE '%how many%'",
        },
    ),
)


def predicates(con: duckdb.DuckDBPyConnection) -> Iterator[Predicate]:
    """All questions with what share of their table they are TRUE of; a share of 0 or 1 counts as half a row."""
    for table in TABLES:
        for instruction, truth in table.questions.items():
            rows, true = con.sql(f"SELECT count(*), count(*) FILTER ({truth}) FROM ({_labelled(table)})").fetchall()[0]
            yield Predicate(table.file, instruction, min(max(true, 0.5), rows - 0.5) / rows)


def texts(con: duckdb.DuckDBPyConnection, table: Table, count: int) -> list[str]:
    """Some texts of a table: the first by a hash, so that they are as good as drawn by chance, and the same each time."""
    chosen = f"SELECT DISTINCT {table.text} AS t FROM ({_labelled(table)})"
    found = con.sql(f"SELECT t FROM ({chosen}) WHERE t IS NOT NULL ORDER BY md5(t) LIMIT {count}").fetchall()
    return [str(text) for (text,) in found]


def _labelled(table: Table) -> str:
    file = f"'{DATA / table.file}.parquet'"
    if table.file != "sembench/movie_reviews":
        return f"FROM {file}"
    labels = f"'{DATA / 'sembench/movie_labels'}.parquet'"
    return f"SELECT r.*, l.scoreSentiment AS label FROM {file} r JOIN {labels} l USING (reviewId)"
