-- Runs and the queue they form. pending -> running -> success | error | timeout | interrupted.

-- run_get --
-- One run of a thread.
SELECT run_id, thread_id, assistant_id, metadata, status, kwargs, multitask_strategy, created_at, updated_at
FROM runs
WHERE run_id = %(run_id)s
    AND thread_id = %(thread_id)s
    /* AND EXISTS (SELECT 1 FROM threads t WHERE t.thread_id = runs.thread_id AND visible(t.metadata)) */

-- run_find --
-- One run by its id alone.
SELECT run_id, thread_id, assistant_id, metadata, status, kwargs, multitask_strategy, created_at, updated_at
FROM runs
WHERE run_id = %(run_id)s

-- run_page --
-- Runs of a thread, newest first.
SELECT run_id, thread_id, assistant_id, metadata, status, kwargs, multitask_strategy, created_at, updated_at
FROM runs
WHERE thread_id = %(thread_id)s
    AND (%(status)s::text IS NULL OR status = %(status)s)
    /* AND EXISTS (SELECT 1 FROM threads t WHERE t.thread_id = runs.thread_id AND visible(t.metadata)) */
ORDER BY created_at DESC, run_id DESC
LIMIT %(limit)s
OFFSET %(offset)s

-- run_insert --
-- Accepts a run. Its created_at is when it may start, by the database's clock.
INSERT INTO runs (run_id, thread_id, assistant_id, graph_id, metadata, kwargs, multitask_strategy, created_at)
VALUES (
    %(run_id)s, %(thread_id)s, %(assistant_id)s, %(graph_id)s, %(metadata)s, %(kwargs)s, %(multitask_strategy)s,
    clock_timestamp() + make_interval(secs => %(after_seconds)s::double precision)
)
RETURNING created_at, updated_at

-- run_insert_on_new_thread --
-- Accepts a run together with a thread of its own. Both rows or none: one statement is one transaction. None, if the
-- assistant has another mark than the one that the run was made from.
WITH assistant AS (
    SELECT 1
    FROM assistants AS a
    LEFT JOIN graphs AS g USING (graph_id)
    WHERE a.assistant_id = %(assistant_id)s AND concat_ws('/', a.xmin, g.xmin) = %(assistant_mark)s
), thread AS (
    INSERT INTO threads (thread_id, metadata, config, status, ttl_minutes, ttl_strategy, expires_at)
    SELECT
        %(thread_id)s, %(thread_metadata)s, %(thread_config)s, 'busy', %(ttl_minutes)s, %(ttl_strategy)s,
        now() + make_interval(secs => %(ttl_minutes)s::double precision * 60)
    FROM assistant
    RETURNING thread_id
)
INSERT INTO runs (run_id, thread_id, assistant_id, graph_id, metadata, kwargs, multitask_strategy, created_at)
SELECT
    %(run_id)s, thread.thread_id, %(assistant_id)s, %(graph_id)s, %(metadata)s, %(kwargs)s, %(multitask_strategy)s,
    clock_timestamp() + make_interval(secs => %(after_seconds)s::double precision)
FROM thread
RETURNING created_at, updated_at

-- run_insert_on_thread --
-- Accepts a run on a thread, which is busy from now on and remembers graph, assistant and config. Nothing is stored if
-- the thread or the assistant has another mark than the one that the run was made from.
WITH assistant AS (
    SELECT 1
    FROM assistants AS a
    LEFT JOIN graphs AS g USING (graph_id)
    WHERE a.assistant_id = %(assistant_id)s AND concat_ws('/', a.xmin, g.xmin) = %(assistant_mark)s
), thread AS (
    UPDATE threads AS t
    SET status = 'busy',
        metadata = %(thread_metadata)s,
        config = %(thread_config)s,
        updated_at = now()
    FROM assistant
    WHERE t.thread_id = %(thread_id)s AND t.xmin::text = %(thread_mark)s
    RETURNING t.thread_id
)
INSERT INTO runs (run_id, thread_id, assistant_id, graph_id, metadata, kwargs, multitask_strategy, created_at)
SELECT
    %(run_id)s, thread.thread_id, %(assistant_id)s, %(graph_id)s, %(metadata)s, %(kwargs)s, %(multitask_strategy)s,
    clock_timestamp() + make_interval(secs => %(after_seconds)s::double precision)
FROM thread
RETURNING created_at, updated_at

-- run_in_flight --
-- Pending and running runs of a thread, locked.
SELECT run_id, thread_id, assistant_id, metadata, status, kwargs, multitask_strategy, created_at, updated_at
FROM runs
WHERE thread_id = %(thread_id)s
    AND status IN ('pending', 'running')
ORDER BY created_at, run_id
FOR UPDATE

-- run_claim --
-- Gives a worker due runs, oldest first, at most one per thread and only of threads where none is running.
-- An older pending run of the same thread bars the younger ones, so they start in the order they were accepted.
-- Suspects are runs whose next lost worker would be their last attempt. They come one at a time and only if asked for,
-- so that no run uses up its attempts beside another one that kills workers.
WITH due AS (
    SELECT r.run_id
    FROM runs r
    WHERE r.status = 'pending'
        AND r.created_at <= clock_timestamp()
        AND r.graph_id = ANY(%(graph_ids)s)
        AND NOT EXISTS (
            SELECT 1 FROM runs busy
            WHERE busy.thread_id = r.thread_id AND busy.status = 'running'
        )
        AND NOT EXISTS (
            SELECT 1 FROM runs older
            WHERE older.thread_id = r.thread_id
                AND older.status = 'pending'
                AND (older.created_at, older.run_id) < (r.created_at, r.run_id)
        )
        AND (
            r.attempt - r.returned < %(suspect_after)s
            OR r.run_id = (
                SELECT suspect.run_id FROM runs suspect
                WHERE %(suspect)s
                    AND suspect.status = 'pending'
                    AND suspect.created_at <= clock_timestamp()
                    AND suspect.graph_id = ANY(%(graph_ids)s)
                    AND suspect.attempt - suspect.returned >= %(suspect_after)s
                ORDER BY suspect.created_at, suspect.run_id
                LIMIT 1
            )
        )
    ORDER BY r.created_at, r.run_id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE runs r
SET status = 'running',
    attempt = r.attempt + 1,
    worker_id = %(worker_id)s,
    started_at = now(),
    updated_at = now()
FROM due
WHERE r.run_id = due.run_id
    AND EXISTS (SELECT 1 FROM workers w WHERE w.worker_id = %(worker_id)s AND w.lease_expires_at > clock_timestamp())
RETURNING r.run_id, r.thread_id, r.assistant_id, r.graph_id, r.metadata, r.kwargs, r.attempt,
    r.attempt - 1 - r.returned AS failed_attempts, r.created_at

-- run_next_due_seconds --
-- Seconds until the next delayed run of these graphs is due; null when none waits.
SELECT extract(epoch FROM min(created_at) - clock_timestamp())::double precision AS seconds
FROM runs
WHERE status = 'pending'
    AND created_at > clock_timestamp()
    AND graph_id = ANY(%(graph_ids)s)

-- run_held --
-- Runs that a worker has in hand.
SELECT run_id, thread_id, assistant_id, graph_id, metadata, kwargs, attempt,
    attempt - 1 - returned AS failed_attempts, created_at
FROM runs
WHERE worker_id = %(worker_id)s
    AND status = 'running'

-- run_finish --
-- Ends an attempt; an empty result means the lease was lost.
UPDATE runs
SET status = %(status)s,
    worker_id = NULL,
    ended_at = now(),
    updated_at = now()
WHERE run_id = %(run_id)s
    AND attempt = %(attempt)s
    AND status = 'running'
RETURNING run_id

-- run_finish_temporary --
-- Ends attempts of temporary runs: what their callers are told stays, their threads go and the runs with them. Each
-- thread is locked before its run, and all in one order. Runs that are not answered are other attempts' by now; nothing
-- of them was changed.
WITH held AS (
    SELECT
        e.run_id, e.thread_id, e.status,
        convert_from(substr(%(bytes)b::bytea, e.result_at, e.result_size), 'UTF8')::json AS result
    FROM (
        SELECT *
        FROM json_to_recordset(%(ends)s::json) AS ended (
            run_id uuid, thread_id uuid, attempt integer, status text, result_at integer, result_size integer
        )
        ORDER BY thread_id
    ) AS e
    CROSS JOIN LATERAL (
        SELECT 1
        FROM threads AS t
        JOIN runs AS r ON r.thread_id = t.thread_id
        WHERE t.thread_id = e.thread_id
            AND r.run_id = e.run_id
            AND r.attempt = e.attempt
            AND r.status = 'running'
        FOR UPDATE OF t, r
    ) AS locked
), told AS (
    INSERT INTO run_results (run_id, thread_id, status, result)
    SELECT run_id, thread_id, status, result
    FROM held
    ON CONFLICT (run_id) DO UPDATE SET status = EXCLUDED.status, result = EXCLUDED.result, created_at = now()
)
DELETE FROM threads AS t
USING held
WHERE t.thread_id = held.thread_id
RETURNING held.run_id

-- run_finish_on_threads --
-- Ends attempts of runs whose threads nobody changes at the same time, or whose locks the transaction holds: the runs,
-- what their callers are told, and the threads, locked in one order. Answered are the runs that have ended, with the
-- status of their thread. The others have changed nothing: their lease was lost, or their thread was changed, and the
-- status would not take into account a run that was accepted meanwhile.
WITH ends AS MATERIALIZED (
    SELECT e.*, t.xmin::text AS mark
    FROM json_to_recordset(%(ends)s::json) AS e (
        run_id uuid, thread_id uuid, attempt integer, status text, thread_status text, has_state boolean, error jsonb,
        thread_metadata jsonb, result_at integer, result_size integer, values_at integer, values_size integer,
        interrupts_at integer, interrupts_size integer, state_at integer, state_size integer
    )
    JOIN threads AS t USING (thread_id)
    ORDER BY thread_id
), held AS (
    SELECT ends.run_id, ends.attempt
    FROM ends
    CROSS JOIN LATERAL (
        SELECT 1 FROM threads AS t WHERE t.thread_id = ends.thread_id AND t.xmin::text = ends.mark FOR UPDATE
    ) AS locked
), finished AS (
    UPDATE runs AS r
    SET status = ends.status,
        worker_id = NULL,
        ended_at = now(),
        updated_at = now()
    FROM held
    JOIN ends USING (run_id, attempt)
    WHERE r.run_id = held.run_id
        AND r.attempt = held.attempt
        AND r.status = 'running'
    RETURNING r.run_id, r.attempt
), told AS (
    INSERT INTO run_results (run_id, thread_id, status, result)
    SELECT
        run_id, thread_id, status, convert_from(substr(%(bytes)b::bytea, result_at, result_size), 'UTF8')::json
    FROM finished
    JOIN ends USING (run_id, attempt)
    ON CONFLICT (run_id) DO UPDATE SET status = EXCLUDED.status, result = EXCLUDED.result, created_at = now()
)
UPDATE threads AS t
SET status = CASE
        WHEN EXISTS (
            SELECT 1 FROM runs AS r
            WHERE r.thread_id = t.thread_id AND r.status IN ('pending', 'running') AND r.run_id <> ends.run_id
        ) THEN 'busy'
        ELSE ends.thread_status
    END,
    "values" = CASE
        WHEN ends.has_state THEN convert_from(substr(%(bytes)b::bytea, ends.values_at, ends.values_size), 'UTF8')::json
        ELSE t."values"
    END,
    interrupts = CASE
        WHEN ends.has_state
        THEN convert_from(substr(%(bytes)b::bytea, ends.interrupts_at, ends.interrupts_size), 'UTF8')::json
        ELSE t.interrupts
    END,
    state = CASE
        WHEN ends.has_state THEN convert_from(substr(%(bytes)b::bytea, ends.state_at, ends.state_size), 'UTF8')::json
        ELSE t.state
    END,
    error = ends.error,
    metadata = t.metadata || ends.thread_metadata,
    updated_at = now(),
    state_updated_at = CASE WHEN ends.has_state THEN now() ELSE t.state_updated_at END
FROM finished
JOIN ends USING (run_id, attempt)
WHERE t.thread_id = ends.thread_id
RETURNING finished.run_id, t.status

-- run_return --
-- Gives claimed runs back in good order: pending again, the attempt uncounted.
UPDATE runs
SET status = 'pending',
    worker_id = NULL,
    returned = returned + 1,
    updated_at = now()
WHERE run_id = %(run_id)s
    AND attempt = %(attempt)s
    AND status = 'running'
RETURNING graph_id

-- run_return_unknown --
-- Gives back the runs of a worker that it does not know of: they were claimed, but the answer got lost.
UPDATE runs
SET status = 'pending',
    worker_id = NULL,
    returned = returned + 1,
    updated_at = now()
WHERE worker_id = %(worker_id)s
    AND status = 'running'
    AND run_id <> ALL(%(known)s)
    -- The answer to a claim of just now may still be on its way.
    AND updated_at < clock_timestamp() - make_interval(secs => %(age_seconds)s::double precision)
RETURNING run_id, thread_id, graph_id

-- run_delete --
-- Removes a run.
DELETE FROM runs
WHERE run_id = %(run_id)s
RETURNING run_id

-- run_delete_attempt --
-- Removes a rolled back run, if this attempt still holds it.
DELETE FROM runs
WHERE run_id = %(run_id)s
    AND attempt = %(attempt)s
    AND status = 'running'
RETURNING run_id

-- run_supersede --
-- Ends pending and running runs at once: later writes of their workers are refused.
UPDATE runs
SET status = 'interrupted',
    worker_id = NULL,
    cancel_action = 'interrupt',
    cancel_reason = %(reason)s,
    ended_at = now(),
    updated_at = now()
WHERE run_id = ANY(%(run_ids)s)
    AND status IN ('pending', 'running')
RETURNING run_id

-- run_request_cancel --
-- Notes the wish to cancel a running run; its worker ends it.
UPDATE runs
SET cancel_action = %(action)s,
    cancel_reason = %(reason)s,
    updated_at = now()
WHERE run_id = %(run_id)s
    AND status = 'running'
RETURNING run_id

-- run_in_flight_ids --
-- Pending or running runs by status, thread and id; null means any.
SELECT run_id, thread_id, status
FROM runs
WHERE status = ANY(%(statuses)s)
    AND (%(thread_id)s::uuid IS NULL OR thread_id = %(thread_id)s)
    AND (%(run_ids)s::uuid[] IS NULL OR run_id = ANY(%(run_ids)s))
    AND (%(assistant_id)s::uuid IS NULL OR assistant_id = %(assistant_id)s)
    /* AND EXISTS (SELECT 1 FROM threads t WHERE t.thread_id = runs.thread_id AND visible(t.metadata)) */
ORDER BY created_at, run_id

-- run_watch --
-- What a worker must know of the runs it holds: gone, superseded, taken over, or to be cancelled.
SELECT run_id, attempt, status, cancel_action, cancel_reason
FROM runs
WHERE run_id = ANY(%(run_ids)s)

-- run_expired --
-- Running runs whose worker's lease has ended, or whose worker is gone, locked.
SELECT r.run_id, r.thread_id, r.assistant_id, r.graph_id, r.metadata, r.kwargs, r.created_at, r.attempt,
    r.attempt - r.returned AS counted_attempts, r.cancel_action, r.cancel_reason
FROM runs r
LEFT JOIN workers w ON w.worker_id = r.worker_id
WHERE r.status = 'running'
    AND (w.worker_id IS NULL OR w.lease_expires_at < clock_timestamp())
ORDER BY r.created_at
LIMIT %(limit)s
FOR UPDATE OF r SKIP LOCKED

-- run_requeue --
-- Puts a run of a lost worker back into the queue.
UPDATE runs
SET status = 'pending',
    worker_id = NULL,
    updated_at = now()
WHERE run_id = %(run_id)s
    AND attempt = %(attempt)s
    AND status = 'running'
RETURNING graph_id

-- run_counts --
-- How many runs wait and work.
SELECT
    count(*) FILTER (WHERE status = 'pending') AS n_pending,
    count(*) FILTER (WHERE status = 'running') AS n_running,
    coalesce(max(extract(epoch FROM clock_timestamp() - created_at)) FILTER (
        WHERE status = 'pending' AND created_at <= clock_timestamp()
    ), 0)::double precision AS pending_runs_wait_time_max_secs,
    coalesce(percentile_cont(0.5) WITHIN GROUP (
        ORDER BY extract(epoch FROM clock_timestamp() - created_at)::double precision
    ) FILTER (WHERE status = 'pending' AND created_at <= clock_timestamp()), 0) AS pending_runs_wait_time_med_secs,
    coalesce(max(extract(epoch FROM clock_timestamp() - created_at)) FILTER (
        WHERE status = 'pending'
            AND created_at <= clock_timestamp()
            AND NOT EXISTS (SELECT 1 FROM runs busy WHERE busy.thread_id = runs.thread_id AND busy.status = 'running')
    ), 0)::double precision AS pending_unblocked_runs_wait_time_max_secs
FROM runs
WHERE status IN ('pending', 'running')

-- run_result_insert --
-- Keeps what a waiting caller is told.
INSERT INTO run_results (run_id, thread_id, status, result)
VALUES (%(run_id)s, %(thread_id)s, %(status)s, %(result)s)
ON CONFLICT (run_id) DO UPDATE SET status = EXCLUDED.status, result = EXCLUDED.result, created_at = now()

-- run_told --
-- How runs stand and what their waiting callers are told, as text; both are committed together.
SELECT asked.run_id, r.status, told.result::text
FROM unnest(%(run_ids)s::uuid[]) AS asked (run_id)
LEFT JOIN runs AS r USING (run_id)
LEFT JOIN run_results AS told USING (run_id)

-- run_result_purge --
-- Forgets results nobody can be waiting for any more.
DELETE FROM run_results
WHERE created_at < now() - make_interval(secs => %(age_seconds)s::double precision)

-- run_encryption_context --
-- In whose name a run was sealed; null when it was not.
SELECT kwargs #> '{__encryption__,context}' AS context
FROM runs
WHERE run_id = %(run_id)s

-- run_end_pending --
-- Ends a run that no worker has claimed.
UPDATE runs
SET status = 'interrupted',
    cancel_action = 'interrupt',
    cancel_reason = %(reason)s,
    ended_at = now(),
    updated_at = now()
WHERE run_id = %(run_id)s
    AND status = 'pending'
RETURNING run_id

-- run_more_pending_than --
-- Whether more runs than this wait. It reads no further than that many rows.
SELECT count(*) > %(number)s AS more
FROM (SELECT 1 FROM runs WHERE status = 'pending' LIMIT %(number)s + 1) AS waiting

-- run_serialize_requester --
-- Lets the transactions that count the runs of one requester follow one another.
SELECT pg_advisory_xact_lock(hashtextextended('lgnb runs of ' || %(requested_by)s, 0))

-- run_note_requester --
-- Notes whose runs these are, for the count.
UPDATE runs
SET requested_by = %(requested_by)s
WHERE run_id = ANY(%(run_ids)s)

-- run_count_for --
-- Pending and running runs of one requester.
SELECT count(*) AS number
FROM runs
WHERE requested_by = %(requested_by)s
    AND status IN ('pending', 'running')
