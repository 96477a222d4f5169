-- Whose run it is, for a limit per user. Only written while there is one, so that the index costs nothing otherwise.

ALTER TABLE runs ADD COLUMN requested_by text;

CREATE INDEX runs_in_flight_by_requester ON runs (requested_by)
    WHERE status IN ('pending', 'running') AND requested_by IS NOT NULL;
