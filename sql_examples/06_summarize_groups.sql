-- LLM_SUMMARIZE is an aggregate: one text per group, however many rows the group has. Its second argument says what to look for.
--
-- Long groups are summarised piece by piece and then together. DISTINCT, FILTER and ORDER BY work in it as in any aggregate;
-- with ORDER BY the same group gives the same question every time, and a second run costs nothing.
SELECT product,
       count(*) AS tickets,
       LLM_SUMMARIZE(DISTINCT body, 'What do the customers want? One short sentence.' ORDER BY body) AS what_they_want
FROM tickets
JOIN orders USING (order_id)
WHERE product IN ('backpack', 'bike light') AND ticket_id <= 40
GROUP BY product
ORDER BY product;
