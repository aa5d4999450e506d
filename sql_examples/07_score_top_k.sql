-- LLM_SCORE gives a DOUBLE from 0 to 1; ORDER BY … LIMIT k makes it a ranking.
--
-- The score in SELECT and the score in ORDER BY are the same question: it is asked once per review.
SELECT round(LLM_SCORE('Is this movie review positive?', review), 2) AS score, review
FROM reviews
WHERE source = 'rotten_tomatoes' AND review_id % 400 = 7
ORDER BY LLM_SCORE('Is this movie review positive?', review) DESC
LIMIT 5;
