-- A view with a semantic column: it lives in the database, and every reader asks only for what the store does not know yet.
CREATE OR REPLACE VIEW angry_tickets AS
SELECT ticket_id, body, LLM_FILTER('the customer is angry', body) AS angry
FROM tickets;

SELECT count(*) FILTER (WHERE angry) AS angry, count(*) AS tickets FROM angry_tickets;
