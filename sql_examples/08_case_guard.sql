-- CASE guards calls: a model is asked only for the rows that reach the call.
--
-- Empty bodies, short ones and orders that were cancelled anyway are settled by plain SQL for free. COALESCE, AND and OR guard in the
-- same way.
SELECT ticket_id,
       CASE
           WHEN body IS NULL THEN 'no text'
           WHEN length(body) < 80 THEN 'short'
           WHEN o.status = 'cancelled' THEN 'cancelled order'
           ELSE LLM_CLASSIFY(body, ['negative', 'neutral', 'positive'])
       END AS triage
FROM tickets
JOIN orders o USING (order_id)
WHERE ticket_id BETWEEN 1 AND 16
ORDER BY ticket_id;
