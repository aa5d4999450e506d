-- LLM_COMPLETE: any prompt, and with  returns := '…'  any type. The answer is constrained and checked; one that does not fit
-- is asked for again and then becomes an error row, never a wrong value.
SELECT ticket_id,
       left(body, 50) AS begins,
       LLM_COMPLETE('How many items does the customer write about?', body, returns := 'INTEGER') AS items
FROM tickets
WHERE ticket_id IN (5, 8, 17)
ORDER BY ticket_id;
