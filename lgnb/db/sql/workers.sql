-- Workers, their leases, and the graphs they serve.

-- worker_insert --
-- Registers a worker with a first lease.
INSERT INTO workers (worker_id, host_name, pid, graph_ids, jobs, lease_expires_at)
VALUES (
    %(worker_id)s, %(host_name)s, %(pid)s, %(graph_ids)s, %(jobs)s,
    clock_timestamp() + make_interval(secs => %(lease_seconds)s::double precision)
)

-- worker_renew --
-- Extends a lease that has not ended yet; an empty result means it was lost.
UPDATE workers
SET lease_expires_at = clock_timestamp() + make_interval(secs => %(lease_seconds)s::double precision)
WHERE worker_id = %(worker_id)s
    AND lease_expires_at > clock_timestamp()
RETURNING worker_id

-- worker_delete --
-- Removes a worker that stops in good order or is known to be dead.
DELETE FROM workers
WHERE worker_id = %(worker_id)s

-- worker_delete_process --
-- Removes the workers of one process, known to have died.
DELETE FROM workers
WHERE host_name = %(host_name)s
    AND pid = %(pid)s

-- worker_delete_expired --
-- Removes workers whose lease has ended, so that none of them can renew it any more.
DELETE FROM workers
WHERE lease_expires_at < clock_timestamp()
RETURNING worker_id

-- worker_live --
-- Workers that hold a lease.
SELECT worker_id, host_name, pid, graph_ids, jobs, started_at
FROM workers
WHERE lease_expires_at > clock_timestamp()
ORDER BY started_at

-- graph_upsert --
-- Stores what a worker says of a graph.
INSERT INTO graphs (graph_id, descriptor, failure)
VALUES (%(graph_id)s, %(descriptor)s, %(failure)s)
ON CONFLICT (graph_id) DO UPDATE
SET descriptor = EXCLUDED.descriptor, failure = EXCLUDED.failure, updated_at = now()

-- graph_get --
-- The descriptor of one graph.
SELECT descriptor
FROM graphs
WHERE graph_id = %(graph_id)s

-- graph_all --
-- Every known graph.
SELECT graph_id, descriptor
FROM graphs
ORDER BY graph_id

-- graph_failure --
-- Why a graph could not be loaded, if so.
SELECT failure
FROM graphs
WHERE graph_id = %(graph_id)s

-- worker_runs --
-- Running runs and the first pending ones, in the order of the queue.
(
    SELECT run_id, thread_id, graph_id, status, worker_id, attempt - returned AS attempt, created_at, started_at
    FROM runs
    WHERE status = 'running'
    ORDER BY started_at
    LIMIT %(most)s
)
UNION ALL
(
    SELECT run_id, thread_id, graph_id, status, worker_id, attempt - returned AS attempt, created_at, started_at
    FROM runs
    WHERE status = 'pending'
    ORDER BY created_at, run_id
    LIMIT %(most)s
)
