-- Questions about the state of the whole, asked by people and not by the work itself.

-- health_server --
-- What kind of server this is, and how full.
SELECT
    pg_is_in_recovery() AS is_standby,
    clock_timestamp() AS now,
    current_setting('max_connections')::integer AS most_connections,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
    EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'vector') AS has_vector

-- health_waiting --
-- Runs that are due, by graph, with how long the oldest waits and how many live workers serve the graph.
SELECT
    r.graph_id,
    count(*) AS number,
    max(extract(epoch FROM clock_timestamp() - r.created_at))::double precision AS oldest_seconds,
    (
        SELECT count(*) FROM workers w
        WHERE w.lease_expires_at > clock_timestamp() AND r.graph_id = ANY(w.graph_ids)
    ) AS workers
FROM runs r
WHERE r.status = 'pending'
    AND r.created_at <= clock_timestamp()
GROUP BY r.graph_id
ORDER BY r.graph_id

-- health_lost --
-- Runs whose worker's lease has ended or who have no worker, and that nobody has taken over for this long.
SELECT count(*) AS number
FROM runs r
LEFT JOIN workers w ON w.worker_id = r.worker_id
WHERE r.status = 'running'
    AND coalesce(w.lease_expires_at, r.updated_at) < clock_timestamp() - make_interval(secs => %(seconds)s::double precision)

-- health_overdue --
-- Runs that are executed for longer than an attempt may take.
SELECT count(*) AS number
FROM runs
WHERE status = 'running'
    AND started_at < clock_timestamp() - make_interval(secs => %(seconds)s::double precision)

-- health_webhooks --
-- Deliveries given up in the last day, those that fail so far, and what the newest failed try said.
SELECT
    (
        SELECT count(*) FROM webhook_deliveries
        WHERE status = 'failed' AND created_at > clock_timestamp() - interval '1 day'
    ) AS given_up,
    (
        SELECT count(*) FROM webhook_deliveries d
        WHERE d.status = 'pending' AND EXISTS (SELECT 1 FROM webhook_attempts a WHERE a.delivery_id = d.delivery_id)
    ) AS failing,
    (
        SELECT coalesce(a.error, 'status ' || a.response_status)
        FROM webhook_attempts a
        WHERE a.error IS NOT NULL OR a.response_status NOT BETWEEN 200 AND 299
        ORDER BY a.started_at DESC
        LIMIT 1
    ) AS last_error
