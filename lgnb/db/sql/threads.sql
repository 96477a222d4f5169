-- Threads.

-- thread_get --
-- One thread by id.
SELECT thread_id, created_at, updated_at, state_updated_at, metadata, config, status, "values", interrupts, error
FROM threads
WHERE thread_id = %(thread_id)s
    /* AND visible(metadata) */

-- thread_lock --
-- One thread, locked against every other writer until the transaction ends.
SELECT thread_id, created_at, updated_at, state_updated_at, metadata, config, status, "values", interrupts, error
FROM threads
WHERE thread_id = %(thread_id)s
    /* AND visible(metadata) */
FOR UPDATE

-- thread_to_run --
-- What a run needs of its thread, and a mark that another one replaces once the row changes.
SELECT thread_id, metadata, config, status, xmin::text AS mark
FROM threads
WHERE thread_id = %(thread_id)s

-- thread_lock_to_run --
-- The same, locked against every other writer until the transaction ends.
SELECT thread_id, metadata, config, status, xmin::text AS mark
FROM threads
WHERE thread_id = %(thread_id)s
    /* AND visible(metadata) */
FOR UPDATE

-- thread_hold --
-- The same lock, without reading the thread.
SELECT status
FROM threads
WHERE thread_id = %(thread_id)s
    /* AND visible(metadata) */
FOR UPDATE

-- thread_insert --
-- Creates a thread; an empty result means the id is taken.
INSERT INTO threads (thread_id, metadata, config, status, ttl_minutes, ttl_strategy, expires_at)
VALUES (
    %(thread_id)s, %(metadata)s, %(config)s, %(status)s, %(ttl_minutes)s, %(ttl_strategy)s,
    now() + make_interval(secs => %(ttl_minutes)s::double precision * 60)
)
ON CONFLICT (thread_id) DO NOTHING
RETURNING thread_id, created_at, updated_at, state_updated_at, metadata, config, status, "values", interrupts, error

-- thread_update --
-- Merges metadata shallowly and sets a time to live when one is given.
UPDATE threads
SET metadata = metadata || coalesce(%(metadata)s, '{}'::jsonb),
    ttl_minutes = coalesce(%(ttl_minutes)s, ttl_minutes),
    ttl_strategy = coalesce(%(ttl_strategy)s, ttl_strategy),
    expires_at = coalesce(now() + make_interval(secs => %(ttl_minutes)s::double precision * 60), expires_at),
    updated_at = now()
WHERE thread_id = %(thread_id)s
    /* AND visible(metadata) */
RETURNING thread_id, created_at, updated_at, state_updated_at, metadata, config, status, "values", interrupts, error

-- thread_ttl --
-- When a thread expires, if ever.
SELECT ttl_minutes, ttl_strategy AS strategy, expires_at
FROM threads
WHERE thread_id = %(thread_id)s
    /* AND visible(metadata) */
    AND ttl_minutes IS NOT NULL

-- thread_delete --
-- Deletes a thread; its runs and crons go with it, its checkpoints by their own statement.
DELETE FROM threads
WHERE thread_id = %(thread_id)s
RETURNING thread_id

-- thread_existing --
-- Those of the given ids that exist.
SELECT thread_id
FROM threads
WHERE thread_id = ANY(%(thread_ids)s)
    /* AND visible(metadata) */

-- thread_delete_many --
-- Deletes several threads.
DELETE FROM threads
WHERE thread_id = ANY(%(thread_ids)s)
RETURNING thread_id

-- thread_copy --
-- A new thread with the state of another, and more metadata; a busy thread's copy is idle or interrupted, as its state says.
INSERT INTO threads (thread_id, metadata, config, status, "values", interrupts, error, state)
SELECT
    %(new_thread_id)s, metadata || %(metadata)s::jsonb, config,
    CASE
        WHEN status = 'busy' AND interrupts::text <> '{}' THEN 'interrupted'
        WHEN status = 'busy' THEN 'idle'
        ELSE status
    END,
    "values", interrupts, error,
    CASE WHEN state IS NULL THEN NULL ELSE replace(state::text, %(thread_id)s::text, %(new_thread_id)s::text)::json END
FROM threads
WHERE thread_id = %(thread_id)s
RETURNING thread_id, created_at, updated_at, state_updated_at, metadata, config, status, "values", interrupts, error

-- thread_begin_run --
-- A run was accepted on an existing thread: it is busy from now on and remembers graph, assistant and config.
UPDATE threads
SET status = 'busy',
    metadata = %(metadata)s,
    config = %(config)s,
    updated_at = now()
WHERE thread_id = %(thread_id)s

-- thread_finish_run --
-- An attempt ended: the new state, and a status that takes waiting runs into account.
UPDATE threads t
SET status = CASE
        WHEN EXISTS (
            SELECT 1 FROM runs r
            WHERE r.thread_id = t.thread_id AND r.status IN ('pending', 'running')
        ) THEN 'busy'
        ELSE %(status)s
    END,
    "values" = CASE WHEN %(has_state)s THEN %(values)s ELSE t."values" END,
    interrupts = CASE WHEN %(has_state)s THEN %(interrupts)s ELSE t.interrupts END,
    state = CASE WHEN %(has_state)s THEN %(state)s ELSE t.state END,
    error = %(error)s,
    metadata = t.metadata || %(metadata)s,
    updated_at = now(),
    state_updated_at = CASE WHEN %(has_state)s THEN now() ELSE t.state_updated_at END
WHERE t.thread_id = %(thread_id)s
RETURNING t.status

-- thread_recompute_status --
-- The status of a thread after a run on it was cancelled or removed without having changed its state.
UPDATE threads t
SET status = CASE
        WHEN EXISTS (
            SELECT 1 FROM runs r
            WHERE r.thread_id = t.thread_id AND r.status IN ('pending', 'running')
        ) THEN 'busy'
        WHEN t.status = 'error' THEN 'error'
        WHEN t.interrupts::text <> '{}' THEN 'interrupted'
        -- Stopped before or after a node, not by an error.
        WHEN t.error IS NULL AND json_array_length(t.state -> 'next') > 0 THEN 'interrupted'
        ELSE 'idle'
    END,
    updated_at = now()
WHERE t.thread_id = %(thread_id)s
RETURNING t.status

-- thread_refresh_state --
-- What the newest checkpoint says, after checkpoints were removed or copied.
UPDATE threads
SET "values" = %(values)s,
    interrupts = %(interrupts)s,
    state = %(state)s,
    updated_at = now(),
    state_updated_at = CASE WHEN state::text IS DISTINCT FROM %(state)s::json::text THEN now() ELSE state_updated_at END
WHERE thread_id = %(thread_id)s

-- thread_set_state --
-- The state of a thread after an update through the API.
UPDATE threads
SET status = %(status)s,
    "values" = %(values)s,
    interrupts = %(interrupts)s,
    state = %(state)s,
    error = NULL,
    metadata = metadata || %(metadata)s,
    updated_at = now(),
    state_updated_at = now()
WHERE thread_id = %(thread_id)s

-- thread_encryption_context --
-- In whose name values of a thread were sealed; null when none is.
SELECT coalesce(metadata #> '{__encryption__,context}', ("values" #> '{__encryption__,context}')::jsonb) AS context
FROM threads
WHERE thread_id = %(thread_id)s

-- thread_latest_state --
-- The latest ThreadState of a thread that no run is changing.
SELECT status, "values", state
FROM threads
WHERE thread_id = %(thread_id)s
    /* AND visible(metadata) */

-- thread_of_assistant --
-- Threads whose metadata names an assistant.
SELECT thread_id
FROM threads
WHERE metadata @> %(metadata)s

-- thread_expired --
-- Threads whose time is over and that no run is changing, longest over first.
SELECT thread_id
FROM threads
WHERE expires_at <= now()
    AND status <> 'busy'
ORDER BY expires_at
LIMIT %(limit)s

-- thread_lock_expired --
-- What shall be left of an expired thread, locked; nothing when it lives on, is busy, or somebody else has it.
SELECT coalesce(ttl_strategy, 'delete') AS strategy
FROM threads
WHERE thread_id = %(thread_id)s
    AND expires_at <= now()
    AND status <> 'busy'
FOR UPDATE SKIP LOCKED

-- thread_expire_again --
-- A thread that was cut down is cut down again after the same time.
UPDATE threads
SET expires_at = now() + make_interval(secs => ttl_minutes * 60)
WHERE thread_id = %(thread_id)s
