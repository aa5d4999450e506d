-- GROUP BY an answer: the label has a name, and the rest is SQL as you know it.
SELECT LLM_CLASSIFY(body, ['negative', 'neutral', 'positive']) AS mood,
       count(*) AS tickets,
       round(avg(o.amount), 2) AS average_order,
       list(DISTINCT o.product ORDER BY o.product) AS products
FROM tickets t
JOIN orders o USING (order_id)
WHERE ticket_id <= 16
GROUP BY mood
ORDER BY tickets DESC;
