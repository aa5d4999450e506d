-- What if a row fails? By default its answer is NULL, a notice gives the count, and llm_errors() has the reason.
-- With on_error := 'details' the answer is a STRUCT of the value and the error, so a query can decide for itself.
-- (on_error := 'fail' stops at the first one; SET llm_max_error_ratio = 0.1 stops when a tenth has failed.)
--
-- The model of this example fails on purpose for about half of the texts: a dry run that costs nothing.
CREATE OR REPLACE MODEL flaky (PROVIDER scripted, FAIL_RATIO 0.5);

SELECT ticket_id, answer.value, left(answer.error, 60) AS error
FROM (
    SELECT ticket_id,
           LLM_COMPLETE('Answer the customer.', body, model := 'flaky', on_error := 'details') AS answer
    FROM tickets
    WHERE ticket_id <= 8
)
ORDER BY ticket_id;

DROP MODEL flaky;
