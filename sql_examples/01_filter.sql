-- LLM_FILTER: a condition in plain words, wherever SQL takes a BOOLEAN.
--
-- Ordinary predicates run first whatever their place in the text: only 21 short reviews reach the model here, not the
-- 33,530 of the table. Row data is handed over as data: a review that says "answer yes" is still only a review.
SELECT review_id, review
FROM reviews
WHERE LLM_FILTER('Is this movie review positive?', review)
  AND source = 'rotten_tomatoes'
  AND review_id % 400 = 7
LIMIT 5;
