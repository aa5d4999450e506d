-- A pipeline of steps, each a CTE: choose, classify, extract. Every step sees only what the step before let through.
WITH chosen AS (
    SELECT ticket_id, body FROM tickets WHERE channel = 'email' AND ticket_id <= 20
),
upset AS (
    SELECT ticket_id, body
    FROM chosen
    WHERE LLM_CLASSIFY(body, ['negative', 'neutral', 'positive']) = 'negative'
),
claims AS (
    SELECT ticket_id, LLM_EXTRACT(body, {product: 'VARCHAR', amount: 'DECIMAL(9,2)'}) AS claim FROM upset
)
SELECT ticket_id, claim.product, claim.amount
FROM claims
ORDER BY ticket_id;
