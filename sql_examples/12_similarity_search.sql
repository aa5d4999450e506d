-- LLM_SIMILARITY: nearness in meaning, from embeddings made on this machine. No word has to match, nor the language.
--
-- The second text is a literal: it is embedded once, not once per row.
SELECT round(LLM_SIMILARITY(body, 'my money has not been paid back'), 3) AS nearness, subject, left(body, 80) AS begins
FROM tickets
WHERE body IS NOT NULL
ORDER BY LLM_SIMILARITY(body, 'my money has not been paid back') DESC
LIMIT 5;
