-- EXPLAIN shows the plan and what it will cost before anything is asked; every figure says where it comes from.
EXPLAIN
SELECT t.ticket_id, LLM_EXTRACT(t.body, {product: 'VARCHAR', amount: 'DECIMAL(9,2)'}) AS claim
FROM tickets t
JOIN customers c USING (customer_id)
WHERE LLM_FILTER('Is this message negative?', t.body) AND c.tier = 'gold'
LIMIT 3;

-- EXPLAIN ANALYZE runs it and puts the actual figures beside the estimates.
EXPLAIN ANALYZE
SELECT review_id
FROM reviews
WHERE LLM_FILTER('Is this movie review positive?', review) AND source = 'rotten_tomatoes' AND review_id BETWEEN 29255 AND 29279
LIMIT 3;
