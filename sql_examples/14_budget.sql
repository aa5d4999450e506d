-- Caps are per query. A query that would pass one stops before the call that would; what was paid for is kept,
-- so the same query under a higher cap goes on where it stopped.
SET llm_max_calls = 40;
SET llm_max_cost_usd = 0.25;

SELECT review_id, LLM_FILTER('Is this movie review positive?', review) AS positive
FROM reviews
WHERE source = 'rotten_tomatoes' AND review_id % 800 = 7
ORDER BY review_id;

RESET llm_max_calls;
RESET llm_max_cost_usd;
SELECT name, value FROM llm_settings() WHERE name LIKE 'llm_max%' ORDER BY name;
