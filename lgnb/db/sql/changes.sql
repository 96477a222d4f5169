-- What has changed, without reading it.

-- change_marks --
-- A mark per kind of row. Times are the ends of indexes or columns of small tables; the count of deleted rows comes from
-- Postgres' own statistics, some seconds late.
SELECT jsonb_build_object(
    'assistants', concat((SELECT max(updated_at) FROM assistants), ' ', deleted.n ->> 'assistants'),
    'crons', concat((SELECT max(updated_at) FROM crons), ' ', deleted.n ->> 'crons'),
    'runs', concat(
        (SELECT concat(count(*), ' ', max(created_at)) FROM runs WHERE status = 'pending'), ' ',
        (SELECT concat(count(*), ' ', max(started_at)) FROM runs WHERE status = 'running')
    ),
    'store', concat((SELECT max(updated_at) FROM store_items), ' ', deleted.n ->> 'store_items'),
    'threads', concat((SELECT max(updated_at) FROM threads), ' ', deleted.n ->> 'threads'),
    'workers', (
        SELECT concat(count(*), ' ', max(started_at)) FROM workers WHERE lease_expires_at > clock_timestamp()
    )
) AS marks
FROM (
    SELECT jsonb_object_agg(relname, n_tup_del) AS n
    FROM pg_stat_user_tables
    WHERE relname IN ('assistants', 'crons', 'store_items', 'threads')
) deleted
