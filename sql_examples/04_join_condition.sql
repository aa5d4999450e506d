-- A semantic condition in JOIN … ON, beside ordinary ones.
--
-- The ordinary parts (equal keys, product, status) make the pairs; the model is asked only about those pairs.
-- A condition may read both sides: LLM_FILTER('Is the {t.body} about a {o.product}?', t.body, o.product).
SELECT t.ticket_id, o.product, o.amount, t.subject
FROM orders o
JOIN tickets t
  ON t.order_id = o.order_id
 AND LLM_CLASSIFY(t.body, ['negative', 'neutral', 'positive']) = 'negative'
WHERE o.product IN ('headphones', 'office chair', 'rain jacket') AND o.status = 'delivered'
ORDER BY t.ticket_id;
