-- CREATE TABLE … AS keeps answers as data: read them as often as you like, index them, share the file.
--
-- Answers are kept in the store beside the database anyway (a second run of any query asks nothing), but a table needs no
-- AnserDB to be read. INSERT INTO … SELECT adds to it later.
CREATE OR REPLACE TABLE ticket_moods AS
SELECT ticket_id, LLM_CLASSIFY(body, ['negative', 'neutral', 'positive']) AS mood
FROM tickets
WHERE ticket_id <= 10;

INSERT INTO ticket_moods
SELECT ticket_id, LLM_CLASSIFY(body, ['negative', 'neutral', 'positive'])
FROM tickets
WHERE ticket_id BETWEEN 11 AND 16;

SELECT mood, count(*) AS tickets FROM ticket_moods GROUP BY mood ORDER BY tickets DESC, mood;

DROP TABLE ticket_moods;
