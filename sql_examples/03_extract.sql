-- LLM_EXTRACT: a typed STRUCT out of free text.
--
-- The types are DuckDB's own: what comes back is a DECIMAL that adds up, not text that looks like one.
-- A field that the text does not state is NULL.
SELECT ticket_id, claim.product, claim.amount, typeof(claim.amount) AS type
FROM (
    SELECT ticket_id, LLM_EXTRACT(body, {product: 'VARCHAR', amount: 'DECIMAL(9,2)'}) AS claim
    FROM tickets
    WHERE contains(body, '.00') AND channel = 'email'
)
ORDER BY claim.amount DESC NULLS LAST
LIMIT 6;
