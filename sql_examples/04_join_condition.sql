-- A semantic condition in JOIN … ON, beside an ordinary one.
--
-- The ordinary part (equal product, tier) makes the pairs; the model is asked about those pairs only,
-- and {column} in the words names what it reads.
SELECT t.ticket_id, o.product, t.subject
FROM orders o
JOIN tickets t
  ON t.order_id = o.order_id
 AND LLM_FILTER('Is the message "{t.body}" about a {o.product}?', t.body, o.product)
WHERE o.product IN ('kettle', 'rain jacket')
ORDER BY t.ticket_id;
