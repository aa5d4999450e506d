-- SQL over real text, answered by a 0.5-billion-parameter model inside this process. `make demo` runs this file.

-- Plain SQL goes to DuckDB, word for word.
SELECT source, label, count(*) AS reviews, round(avg(length(review))) AS characters
FROM reviews
GROUP BY ALL
ORDER BY ALL;

-- LLM_FILTER answers yes or no. Nobody told the model the labels; here they stand beside its answers.
SELECT coalesce(label, 'all') AS human_says,
       count(*) FILTER (WHERE says_yes) AS model_says_positive,
       count(*) FILTER (WHERE NOT says_yes) AS model_says_negative,
       format('{} %', round(100 * avg((says_yes = (label = 'positive'))::INTEGER))::INTEGER) AS agreement
FROM (
    SELECT label, LLM_FILTER('Is this movie review positive?', review) AS says_yes
    FROM reviews
    WHERE source = 'rotten_tomatoes' AND review_id % 200 = 7
)
GROUP BY ROLLUP (label)
ORDER BY label NULLS LAST;

-- The ones it likes best: the same question as a score, for a ranking.
SELECT round(LLM_SCORE('Is this movie review positive?', review), 2) AS score, label AS human_says, review
FROM reviews
WHERE source = 'rotten_tomatoes' AND review_id % 200 = 7
ORDER BY LLM_SCORE('Is this movie review positive?', review) DESC
LIMIT 5;

-- LLM_CLASSIFY gives one of your labels; GROUP BY it like any column.
SELECT LLM_CLASSIFY(body, ['negative', 'neutral', 'positive']) AS mood,
       count(*) AS tickets,
       list(subject ORDER BY ticket_id) AS subjects
FROM tickets
WHERE ticket_id <= 30
GROUP BY mood
ORDER BY tickets DESC;

-- A join: unhappy gold customers and what they paid. The moods are known by now, so most of this costs nothing.
SELECT c.name, o.product, o.amount, t.subject
FROM tickets t
JOIN customers c USING (customer_id)
JOIN orders o USING (order_id)
WHERE LLM_CLASSIFY(t.body, ['negative', 'neutral', 'positive']) = 'negative'
  AND c.tier = 'gold'
  AND t.ticket_id <= 30
ORDER BY o.amount DESC;

-- LLM_EXTRACT reads typed values out of prose: the amounts are DECIMAL, and they add up.
SELECT ticket_id, claim.product, claim.amount, left(body, 60) AS begins
FROM (
    SELECT ticket_id, body, LLM_EXTRACT(body, {product: 'VARCHAR', amount: 'DECIMAL(9,2)'}) AS claim
    FROM tickets
    WHERE ticket_id IN (7, 13, 17, 23, 45)
)
ORDER BY ticket_id;

-- LLM_SUMMARIZE is an aggregate: one text per group, told what to look for. DISTINCT and ORDER BY work in it as in any.
SELECT product, count(*) AS tickets,
       LLM_SUMMARIZE(DISTINCT body, 'What do the customers want? One short sentence.' ORDER BY body) AS what_they_want
FROM tickets
JOIN orders USING (order_id)
WHERE product IN ('backpack', 'bike light') AND ticket_id <= 40
GROUP BY product
ORDER BY product;

-- LLM_SIMILARITY searches by meaning, across languages, with embeddings made on this machine.
SELECT round(LLM_SIMILARITY(body, 'my money has not been paid back'), 3) AS nearness, subject, left(body, 60) AS begins
FROM (SELECT DISTINCT subject, body FROM tickets WHERE ticket_id <= 30)
ORDER BY LLM_SIMILARITY(body, 'my money has not been paid back') DESC NULLS LAST
LIMIT 4;

-- EXPLAIN: what a query will do and cost, before it does. The cheap predicate runs first, whatever the order in the text.
EXPLAIN
SELECT review
FROM reviews
WHERE LLM_FILTER('Is this movie review positive?', review) AND source = 'rotten_tomatoes' AND review_id BETWEEN 29240 AND 29289
LIMIT 3;

-- EXPLAIN ANALYZE: the same with what it did.
EXPLAIN ANALYZE
SELECT review
FROM reviews
WHERE LLM_FILTER('Is this movie review positive?', review) AND source = 'rotten_tomatoes' AND review_id BETWEEN 29240 AND 29289
LIMIT 3;

-- The bill, from the record that is kept of every call. Run the demo again: it makes none.
SELECT model, function, sum(calls) AS calls, sum(failed_calls) AS failed, sum(tokens_in) AS tokens_in,
    sum(tokens_out) AS tokens_out, round(sum(seconds), 1) AS seconds, sum(cost_usd) AS cost_usd
FROM llm_usage()
GROUP BY ALL
ORDER BY calls DESC;
