-- LLM_COMPLETE: any prompt, and with  returns := '…'  any type. The answer is constrained and checked; one that does not fit
-- is asked for again and then becomes an error row, never a wrong value.
SELECT ticket_id, answer.language, left(body, 50) AS begins
FROM (
    SELECT ticket_id,
           body,
           LLM_COMPLETE('In which language is the message written?', body, returns := 'STRUCT(language VARCHAR)') AS answer
    FROM tickets
    WHERE ticket_id IN (1, 2, 7, 19, 26)
)
ORDER BY ticket_id;
