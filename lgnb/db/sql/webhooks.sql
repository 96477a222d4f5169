-- Webhook deliveries: pending -> delivered | failed; asked to be sent again: pending.

-- webhook_insert --
-- Notes what a webhook is to be told.
INSERT INTO webhook_deliveries (delivery_id, run_id, thread_id, url, payload, tries_left)
VALUES (%(delivery_id)s, %(run_id)s, %(thread_id)s, %(url)s, %(payload)s, %(tries)s)

-- webhook_claim --
-- Takes due deliveries for one try each. Should this process die, another one tries them after the lease.
WITH due AS (
    SELECT delivery_id
    FROM webhook_deliveries
    WHERE status = 'pending'
        AND next_attempt_at <= clock_timestamp()
    ORDER BY next_attempt_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE webhook_deliveries d
SET tries_left = d.tries_left - 1,
    next_attempt_at = clock_timestamp() + make_interval(secs => %(lease_seconds)s::double precision)
FROM due
WHERE d.delivery_id = due.delivery_id
RETURNING d.delivery_id, d.run_id, d.url, d.payload, d.tries_left, clock_timestamp() AS now

-- webhook_finish --
-- Ends a try: delivered, failed for good, or (with a delay) to be tried again.
UPDATE webhook_deliveries
SET status = %(status)s,
    next_attempt_at = clock_timestamp() + make_interval(secs => %(delay_seconds)s::double precision)
WHERE delivery_id = %(delivery_id)s

-- webhook_attempt_insert --
-- Remembers a try.
INSERT INTO webhook_attempts (delivery_id, started_at, seconds, response_status, error)
VALUES (
    %(delivery_id)s, clock_timestamp() - make_interval(secs => %(seconds)s::double precision), %(seconds)s,
    %(response_status)s, %(error)s
)

-- webhook_of_run --
-- Deliveries of a run with their tries, oldest first.
SELECT d.delivery_id, d.run_id, d.thread_id, d.url, d.status, d.created_at,
    CASE WHEN d.status = 'pending' THEN d.next_attempt_at END AS next_attempt_at,
    coalesce((
        SELECT json_agg(json_build_object(
            'started_at', to_char(a.started_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), 'seconds', a.seconds,
            'response_status', a.response_status, 'error', a.error
        ) ORDER BY a.started_at)
        FROM webhook_attempts a
        WHERE a.delivery_id = d.delivery_id
    ), '[]'::json) AS attempts
FROM webhook_deliveries d
WHERE d.run_id = %(run_id)s
    AND d.thread_id = %(thread_id)s
    /* AND EXISTS (SELECT 1 FROM threads t WHERE t.thread_id = %(thread_id)s AND visible(t.metadata)) */
ORDER BY d.created_at, d.delivery_id

-- webhook_send_again --
-- Lets the deliveries of a run be sent once more, as if they were new.
UPDATE webhook_deliveries
SET status = 'pending',
    tries_left = %(tries)s,
    next_attempt_at = clock_timestamp()
WHERE run_id = %(run_id)s
    AND thread_id = %(thread_id)s
    AND status <> 'pending'
    /* AND EXISTS (SELECT 1 FROM threads t WHERE t.thread_id = %(thread_id)s AND visible(t.metadata)) */
RETURNING delivery_id

-- webhook_next_due_seconds --
-- Seconds until the next try; null when nothing is pending.
SELECT extract(epoch FROM min(next_attempt_at) - clock_timestamp())::double precision AS seconds
FROM webhook_deliveries
WHERE status = 'pending'

-- webhook_purge --
-- Forgets old deliveries that have ended.
DELETE FROM webhook_deliveries
WHERE created_at < now() - make_interval(secs => %(age_seconds)s::double precision)
    AND status <> 'pending'

-- webhook_run --
-- What a payload says of a run besides what its worker knows.
SELECT run_id, thread_id, assistant_id, metadata, status, kwargs, multitask_strategy, created_at, updated_at,
    started_at, clock_timestamp() AS now
FROM runs
WHERE run_id = %(run_id)s

-- webhook_backlog --
-- How many deliveries wait, and for how long the oldest of them has.
SELECT
    count(*) AS n_pending,
    coalesce(max(extract(epoch FROM clock_timestamp() - created_at)), 0)::double precision AS oldest_secs
FROM webhook_deliveries
WHERE status = 'pending'
