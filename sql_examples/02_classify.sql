-- LLM_CLASSIFY: one of your labels, never a word outside them.
--
-- A NULL body stays NULL and asks nothing. Equal bodies (customers who write twice) are asked once.
-- Labels may carry a description: {refund: 'wants money back', praise: 'says thank you'}.
SELECT ticket_id, subject, LLM_CLASSIFY(body, ['negative', 'neutral', 'positive']) AS mood
FROM tickets
WHERE ticket_id <= 16
ORDER BY ticket_id;
