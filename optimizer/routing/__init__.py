"""Who answers which row of which call: routing learnt from audits, for all calls of a query together. Pure: it asks nobody."""
