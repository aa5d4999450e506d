-- A guarantee: a cheap proxy answers the rows of which a sample proves that it may, the model answers the others, and the result has
-- a certificate. Here embeddings say which way a sentence leans, and how far (0.5: undecided), for a fraction of what the model takes.
CREATE OR REPLACE TABLE liked AS
SELECT review_id, review
FROM reviews
WHERE source = 'rotten_tomatoes'
  AND review_id % 40 = 3
  AND LLM_FILTER(
      'Is this movie review positive?', review,
      guarantee := 'accuracy >= 0.75, delta = 0.1',
      proxy := 0.5 + 5 * (LLM_SIMILARITY(review, 'a wonderful film, I loved it') - LLM_SIMILARITY(review, 'a terrible film, I hated it'))
  );

-- At least 75 of 100 answers are what the model says, but for a chance of 1 in 10; about by_proxy of the rows it was not asked.
SELECT metric, target, certified, round(estimate, 3) AS estimate, rows, by_proxy, by_reference, labels, scope
FROM llm_certificates()
LIMIT 1;

SELECT count(*) AS liked FROM liked;
DROP TABLE liked;
