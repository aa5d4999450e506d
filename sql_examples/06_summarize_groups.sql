-- LLM_SUMMARIZE is an aggregate: one text per group, however many rows the group has.
--
-- Long groups are summarised piece by piece and then together. FILTER and ORDER BY inside the call work as in any aggregate.
SELECT label, count(*) AS reviews, LLM_SUMMARIZE(review ORDER BY review_id) AS what_critics_say
FROM reviews
WHERE source = 'rotten_tomatoes' AND review_id % 800 = 7
GROUP BY label
ORDER BY label;
