-- Every order that a page of threads can have is an index, read from either end.
--
-- Equals follow each other by id, as in the query: a page is then read off the index, also where a million threads
-- were changed by one transaction and so at the same time.

DROP INDEX threads_by_update, threads_by_creation, threads_by_status;
CREATE INDEX threads_by_update ON threads (updated_at, thread_id);
CREATE INDEX threads_by_creation ON threads (created_at, thread_id);
CREATE INDEX threads_by_state_update ON threads (state_updated_at, thread_id);
CREATE INDEX threads_by_status ON threads (status, updated_at, thread_id);

-- What was not yet sorted into these is looked through by every search, and sorted in at once by whoever fills it up.
ALTER INDEX threads_by_metadata SET (gin_pending_list_limit = 512);
ALTER INDEX threads_by_values SET (gin_pending_list_limit = 512);
