-- Crons. One is due when it is enabled, its time has come and its end has not.

-- cron_insert --
-- Creates a cron.
INSERT INTO crons (
    cron_id, assistant_id, thread_id, user_id, end_time, schedule, timezone, payload, next_run_date, metadata,
    on_run_completed, enabled
)
VALUES (
    %(cron_id)s, %(assistant_id)s, %(thread_id)s, %(user_id)s, %(end_time)s, %(schedule)s, %(timezone)s, %(payload)s,
    %(next_run_date)s, %(metadata)s, %(on_run_completed)s, %(enabled)s
)
RETURNING cron_id, assistant_id, thread_id, user_id, end_time, schedule, timezone, payload, next_run_date, metadata,
    on_run_completed, enabled, created_at, updated_at

-- cron_get --
-- One cron by id.
SELECT cron_id, assistant_id, thread_id, user_id, end_time, schedule, timezone, payload, next_run_date, metadata,
    on_run_completed, enabled, created_at, updated_at
FROM crons
WHERE cron_id = %(cron_id)s
    /* AND visible(metadata) */

-- cron_lock --
-- One cron, locked against ticks and other changes until the transaction ends.
SELECT cron_id, assistant_id, thread_id, user_id, end_time, schedule, timezone, payload, next_run_date, metadata,
    on_run_completed, enabled, created_at, updated_at
FROM crons
WHERE cron_id = %(cron_id)s
    /* AND visible(metadata) */
FOR UPDATE

-- cron_update --
-- Stores a changed cron.
UPDATE crons
SET schedule = %(schedule)s,
    timezone = %(timezone)s,
    end_time = %(end_time)s,
    payload = %(payload)s,
    next_run_date = %(next_run_date)s,
    metadata = %(metadata)s,
    on_run_completed = %(on_run_completed)s,
    enabled = %(enabled)s,
    updated_at = now()
WHERE cron_id = %(cron_id)s
RETURNING cron_id, assistant_id, thread_id, user_id, end_time, schedule, timezone, payload, next_run_date, metadata,
    on_run_completed, enabled, created_at, updated_at

-- cron_delete --
-- Deletes a cron; runs that it has created stay.
DELETE FROM crons
WHERE cron_id = %(cron_id)s
    /* AND visible(metadata) */
RETURNING cron_id

-- cron_due --
-- Crons whose time has come, oldest first.
SELECT cron_id, thread_id, schedule, timezone, next_run_date AS tick, clock_timestamp() AS now
FROM crons
WHERE enabled
    AND next_run_date <= clock_timestamp()
    AND (end_time IS NULL OR end_time > clock_timestamp())
ORDER BY next_run_date, cron_id
LIMIT %(limit)s

-- cron_claim --
-- Takes one tick of a cron. An empty result means that another process took it, or that the cron was changed.
UPDATE crons
SET next_run_date = %(next_run_date)s
WHERE cron_id = %(cron_id)s
    AND next_run_date = %(tick)s
    AND enabled
    AND (end_time IS NULL OR end_time > clock_timestamp())
RETURNING cron_id, assistant_id, thread_id, user_id, end_time, schedule, timezone, payload, next_run_date, metadata,
    on_run_completed, enabled, created_at, updated_at

-- cron_encryption_context --
-- In whose name a cron was sealed; null when it was not.
SELECT payload #> '{__encryption__,context}' AS context
FROM crons
WHERE cron_id = %(cron_id)s

-- cron_next_due_seconds --
-- Seconds until the next cron is due; null when none will be.
SELECT extract(epoch FROM min(next_run_date) - clock_timestamp())::double precision AS seconds
FROM crons
WHERE enabled
    AND next_run_date IS NOT NULL
    AND (end_time IS NULL OR end_time > clock_timestamp())
