-- Workers, their leases, and the graphs they serve.

-- worker_insert --
-- Registers a worker with a first lease.
INSERT INTO workers (worker_id, host_name, pid, graph_ids, jobs, kernel, lease_expires_at)
VALUES (
    %(worker_id)s, %(host_name)s, %(pid)s, %(graph_ids)s, %(jobs)s, %(kernel)s,
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
SELECT worker_id, host_name, pid, graph_ids, jobs, started_at, kernel
FROM workers
WHERE lease_expires_at > clock_timestamp()
ORDER BY started_at

-- worker_serve_graph --
-- Adds a graph to those that a worker serves; an empty result means that its lease has ended.
UPDATE workers
SET graph_ids = array_append(array_remove(graph_ids, %(graph_id)s), %(graph_id)s)
WHERE worker_id = %(worker_id)s
    AND lease_expires_at > clock_timestamp()
RETURNING worker_id

-- worker_leave_graph --
-- Takes a graph from kernels that serve it: from one, or from all.
UPDATE workers
SET graph_ids = array_remove(graph_ids, %(graph_id)s)
WHERE graph_ids @> ARRAY[%(graph_id)s::text]
    AND kernel IS NOT NULL
    AND (%(worker_id)s::uuid IS NULL OR worker_id = %(worker_id)s)

-- worker_serving --
-- Workers that serve a graph and hold a lease.
SELECT worker_id, host_name, pid, graph_ids, jobs, started_at, kernel
FROM workers
WHERE graph_ids @> ARRAY[%(graph_id)s::text]
    AND lease_expires_at > clock_timestamp()
ORDER BY started_at

-- worker_graph_ids --
-- What a worker serves at the moment.
SELECT unnest(graph_ids)
FROM workers
WHERE worker_id = %(worker_id)s

-- graph_lock --
-- Keeps others from deciding who serves a graph of this name until the transaction ends.
SELECT pg_advisory_xact_lock(hashtext('lgnb graph'), hashtext(%(graph_id)s))

-- graph_upsert --
-- Stores what a worker says of a graph.
INSERT INTO graphs (graph_id, descriptor, failure, kernel)
VALUES (%(graph_id)s, %(descriptor)s, %(failure)s, %(kernel)s)
ON CONFLICT (graph_id) DO UPDATE
SET descriptor = EXCLUDED.descriptor, failure = EXCLUDED.failure, kernel = EXCLUDED.kernel, updated_at = now()

-- graph_kernel --
-- Whether a graph is known, and the kernel that serves it or served it last.
SELECT graph_id, kernel
FROM graphs
WHERE graph_id = %(graph_id)s

-- graph_live --
-- Graphs of kernels, with what waits for them.
SELECT g.graph_id, g.descriptor ->> 'description' AS description, g.kernel, g.updated_at,
    EXISTS (
        SELECT 1 FROM workers w
        WHERE w.graph_ids @> ARRAY[g.graph_id] AND w.lease_expires_at > clock_timestamp()
    ) AS is_served,
    (SELECT count(*) FROM runs r WHERE r.status = 'pending' AND r.graph_id = g.graph_id) AS n_pending,
    (SELECT count(*) FROM runs r WHERE r.status = 'running' AND r.graph_id = g.graph_id) AS n_running
FROM graphs g
WHERE g.kernel IS NOT NULL
ORDER BY g.graph_id

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
