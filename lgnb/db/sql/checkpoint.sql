-- checkpoint_save --
-- Save what one or more runs bring at the same time: checkpoints, writes of tasks, and what only graphs can tell.
-- Each save names a fence by its number: one without a run holds always, any other while its attempt owns the run.
-- The answer are the fences that hold; nothing is written for the others. FOR SHARE is what makes a guard a fence:
-- when another worker's take-over (an UPDATE of the same row) is under way but not committed, a plain SELECT would
-- read the row as it was and let a stale write pass. FOR SHARE waits for that transaction, looks at the row again and
-- then finds no match; and while a write holds the share lock, a take-over waits until the write has committed, so
-- the next attempt reads it.
WITH fence AS (
    SELECT f.fence
    FROM json_to_recordset(%(fences)s::json) AS f (fence integer, run_id uuid, attempt integer)
    WHERE f.run_id IS NULL
    UNION ALL
    SELECT f.fence
    FROM json_to_recordset(%(fences)s::json) AS f (fence integer, run_id uuid, attempt integer)
    CROSS JOIN LATERAL (
        SELECT 1 FROM runs
        WHERE runs.run_id = f.run_id AND runs.attempt = f.attempt AND runs.status = 'running'
        FOR SHARE
    ) AS held
), put_values AS (
    INSERT INTO checkpoint_values (thread_id, checkpoint_ns, channel, version, type, value, lineage, part)
    SELECT
        v.thread_id, v.checkpoint_ns, v.channel, v.version, v.type,
        CASE WHEN v.type <> '' THEN substr(%(bytes)b::bytea, v.value_at, v.value_size) END, v.lineage, v.part
    FROM fence
    JOIN json_to_recordset(%(values)s::json) AS v (
        fence integer, thread_id uuid, checkpoint_ns text, channel text, version text, type text,
        value_at integer, value_size integer, lineage text, part integer
    ) USING (fence)
    -- Versions are never reused, so a conflict is the same write come twice.
    ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO NOTHING
), put_checkpoints AS (
    INSERT INTO checkpoints (
        thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, run_id, created_at, checkpoint, metadata,
        inline_channels, inline_types, inline_values
    )
    SELECT
        c.thread_id, c.checkpoint_ns, c.checkpoint_id, c.parent_checkpoint_id, c.run_id, c.created_at, c.checkpoint,
        c.metadata, c.inline_channels, c.inline_types, c.inline_values
    FROM fence
    JOIN json_to_recordset(%(checkpoints)s::json) AS c (
        fence integer, thread_id uuid, checkpoint_ns text, checkpoint_id uuid, parent_checkpoint_id uuid, run_id uuid,
        created_at timestamptz, checkpoint jsonb, metadata jsonb, inline_channels text[], inline_types text[],
        inline_values bytea[]
    ) USING (fence)
    ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id) DO UPDATE SET
        checkpoint = EXCLUDED.checkpoint,
        metadata = EXCLUDED.metadata,
        inline_channels = EXCLUDED.inline_channels,
        inline_types = EXCLUDED.inline_types,
        inline_values = EXCLUDED.inline_values
), put_writes AS (
    -- Special writes (negative idx) replace, regular ones stay as they were first written. A row of type 'writes'
    -- holds all regular ones up to its idx.
    INSERT INTO checkpoint_writes (
        thread_id, checkpoint_ns, checkpoint_id, task_id, idx, run_id, task_path, channel, type, value
    )
    SELECT
        w.thread_id, w.checkpoint_ns, w.checkpoint_id, w.task_id, w.idx, w.run_id, w.task_path, w.channel, w.type,
        substr(%(bytes)b::bytea, w.value_at, w.value_size)
    FROM fence
    JOIN json_to_recordset(%(writes)s::json) AS w (
        fence integer, thread_id uuid, checkpoint_ns text, checkpoint_id uuid, task_id uuid, idx integer, run_id uuid,
        task_path text, channel text, type text, value_at integer, value_size integer
    ) USING (fence)
    WHERE w.idx < 0 OR NOT EXISTS (
        SELECT 1 FROM checkpoint_writes AS old
        WHERE old.thread_id = w.thread_id AND old.checkpoint_ns = w.checkpoint_ns
            AND old.checkpoint_id = w.checkpoint_id AND old.task_id = w.task_id
            AND (old.idx = w.idx OR (old.idx > w.idx AND old.type = 'writes'))
    )
    ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, run_id) DO UPDATE SET
        task_path = EXCLUDED.task_path,
        channel = EXCLUDED.channel,
        type = EXCLUDED.type,
        value = EXCLUDED.value,
        written_at = EXCLUDED.written_at
        WHERE EXCLUDED.idx < 0
), put_tasks AS (
    -- Saying it again costs no write.
    INSERT INTO checkpoint_tasks AS old (
        thread_id, checkpoint_ns, checkpoint_id, next, tasks, channels, is_single, defaults
    )
    SELECT
        t.thread_id, t.checkpoint_ns, t.checkpoint_id, t.next, t.tasks, t.channels, t.is_single, t.defaults
    FROM fence
    JOIN json_to_recordset(%(tasks)s::json) AS t (
        fence integer, thread_id uuid, checkpoint_ns text, checkpoint_id uuid, next text[], tasks jsonb,
        channels text[], is_single boolean, defaults jsonb
    ) USING (fence)
    ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id) DO UPDATE SET
        next = EXCLUDED.next,
        tasks = EXCLUDED.tasks,
        channels = EXCLUDED.channels,
        is_single = EXCLUDED.is_single,
        defaults = EXCLUDED.defaults
        WHERE (old.next, old.tasks, old.channels, old.is_single, old.defaults)
            IS DISTINCT FROM (
                EXCLUDED.next, EXCLUDED.tasks, EXCLUDED.channels, EXCLUDED.is_single, EXCLUDED.defaults
            )
)
SELECT array_agg(fence) FROM fence;

-- checkpoint_get --
-- Each checkpoint that is asked for, or the newest of its namespace, with its values part by part and its pending writes.
SELECT asked.number, found.*
FROM jsonb_to_recordset(%(asked)s::jsonb) AS asked (
    number integer, thread_id uuid, checkpoint_ns text, checkpoint_id uuid
)
CROSS JOIN LATERAL (
    SELECT
        c.thread_id, c.checkpoint_ns, c.checkpoint_id, c.parent_checkpoint_id, c.created_at, c.checkpoint, c.metadata,
        c.inline_channels, c.inline_types, c.inline_values,
        t.next, t.tasks, t.channels AS task_channels, t.is_single, t.defaults,
        v.channels, v.types, v.blobs, v.lineages, v.parts, v.can_grow,
        w.task_ids, w.task_paths, w.idxs, w.write_channels, w.write_types, w.write_blobs
    FROM checkpoints AS c
    LEFT JOIN checkpoint_tasks AS t USING (thread_id, checkpoint_ns, checkpoint_id)
    CROSS JOIN LATERAL (
        SELECT
            array_agg(v.channel ORDER BY v.channel, p.part) AS channels,
            array_agg(p.type ORDER BY v.channel, p.part) AS types,
            array_agg(p.value ORDER BY v.channel, p.part) AS blobs,
            array_agg(coalesce(v.lineage, v.version) ORDER BY v.channel, p.part) AS lineages,
            array_agg(v.part ORDER BY v.channel, p.part) AS parts,
            array_agg(NOT EXISTS (
                SELECT 1 FROM checkpoint_values AS later
                WHERE later.thread_id = c.thread_id AND later.checkpoint_ns = c.checkpoint_ns
                    AND later.channel = v.channel AND later.lineage = coalesce(v.lineage, v.version)
                    AND later.value IS NOT NULL AND later.part > v.part
            ) ORDER BY v.channel, p.part) AS can_grow
        FROM jsonb_each_text(c.checkpoint -> 'channel_versions') AS seen (channel, version)
        JOIN checkpoint_values AS v
            ON v.thread_id = c.thread_id AND v.checkpoint_ns = c.checkpoint_ns
            AND v.channel = seen.channel AND v.version = seen.version
        CROSS JOIN LATERAL (
            SELECT v.type, v.value, 0 AS part WHERE v.lineage IS NULL
            UNION ALL
            SELECT whole.type, whole.value, 0
            FROM checkpoint_values AS whole
            WHERE whole.thread_id = c.thread_id AND whole.checkpoint_ns = c.checkpoint_ns
                AND whole.channel = v.channel AND whole.version = v.lineage
            UNION ALL
            SELECT tail.type, tail.value, tail.part
            FROM checkpoint_values AS tail
            WHERE tail.thread_id = c.thread_id AND tail.checkpoint_ns = c.checkpoint_ns
                AND tail.channel = v.channel AND tail.lineage = v.lineage
                AND tail.value IS NOT NULL AND tail.part <= v.part
        ) AS p
    ) AS v
    CROSS JOIN LATERAL (
        SELECT
            array_agg(w.task_id ORDER BY w.task_path COLLATE "C", w.task_id, w.idx) AS task_ids,
            array_agg(w.task_path ORDER BY w.task_path COLLATE "C", w.task_id, w.idx) AS task_paths,
            array_agg(w.idx ORDER BY w.task_path COLLATE "C", w.task_id, w.idx) AS idxs,
            array_agg(w.channel ORDER BY w.task_path COLLATE "C", w.task_id, w.idx) AS write_channels,
            array_agg(w.type ORDER BY w.task_path COLLATE "C", w.task_id, w.idx) AS write_types,
            array_agg(w.value ORDER BY w.task_path COLLATE "C", w.task_id, w.idx) AS write_blobs
        FROM (
            SELECT DISTINCT ON (p.task_id, p.idx) p.task_id, p.task_path, p.idx, p.channel, p.type, p.value
            FROM checkpoint_writes AS p
            WHERE p.thread_id = c.thread_id AND p.checkpoint_ns = c.checkpoint_ns
                AND p.checkpoint_id = c.checkpoint_id
            ORDER BY p.task_id, p.idx, p.written_at DESC
        ) AS w
    ) AS w
    WHERE c.thread_id = asked.thread_id
        AND c.checkpoint_ns = asked.checkpoint_ns
        AND c.checkpoint_id = coalesce(asked.checkpoint_id, (
            SELECT newest.checkpoint_id FROM checkpoints AS newest
            WHERE newest.thread_id = asked.thread_id AND newest.checkpoint_ns = asked.checkpoint_ns
            ORDER BY newest.checkpoint_id DESC
            LIMIT 1
        ))
    -- There is no other, but so each is looked up by its key, whatever their number is thought to be.
    LIMIT 1
) AS found;

-- checkpoint_list_values --
-- The values of a page of checkpoints, each version once, and the parts of those that are lists, each part once.
-- A row without a version is a part.
WITH wanted AS (
    SELECT v.thread_id, v.checkpoint_ns, v.channel, v.version, v.lineage, v.part, v.type, v.value
    FROM unnest(%(thread_ids)s::uuid[], %(namespaces)s::text[], %(channels)s::text[], %(versions)s::text[])
        AS seen (thread_id, checkpoint_ns, channel, version)
    JOIN checkpoint_values AS v
        ON v.thread_id = seen.thread_id AND v.checkpoint_ns = seen.checkpoint_ns
        AND v.channel = seen.channel AND v.version = seen.version
), longest AS (
    SELECT thread_id, checkpoint_ns, channel, lineage, max(part) AS part
    FROM wanted
    WHERE lineage IS NOT NULL
    GROUP BY thread_id, checkpoint_ns, channel, lineage
)
SELECT thread_id, checkpoint_ns, channel, version, lineage, part, type, CASE WHEN lineage IS NULL THEN value END AS value
FROM wanted
UNION ALL
SELECT l.thread_id, l.checkpoint_ns, l.channel, NULL, l.lineage, 0, whole.type, whole.value
FROM longest AS l
JOIN checkpoint_values AS whole
    ON whole.thread_id = l.thread_id AND whole.checkpoint_ns = l.checkpoint_ns
    AND whole.channel = l.channel AND whole.version = l.lineage
UNION ALL
SELECT l.thread_id, l.checkpoint_ns, l.channel, NULL, l.lineage, tail.part, tail.type, tail.value
FROM longest AS l
JOIN checkpoint_values AS tail
    ON tail.thread_id = l.thread_id AND tail.checkpoint_ns = l.checkpoint_ns
    AND tail.channel = l.channel AND tail.lineage = l.lineage
    AND tail.value IS NOT NULL AND tail.part <= l.part
ORDER BY part;

-- checkpoint_list_writes --
-- The pending writes of a page of checkpoints, in the order in which a superstep applies them.
SELECT
    w.thread_id, w.checkpoint_ns, w.checkpoint_id, w.task_id, w.task_path, w.idx, w.channel, w.type, w.value
FROM (
    SELECT DISTINCT ON (p.thread_id, p.checkpoint_ns, p.checkpoint_id, p.task_id, p.idx)
        p.thread_id, p.checkpoint_ns, p.checkpoint_id, p.task_id, p.task_path, p.idx, p.channel, p.type, p.value
    FROM unnest(%(thread_ids)s::uuid[], %(namespaces)s::text[], %(checkpoint_ids)s::uuid[])
        AS page (thread_id, checkpoint_ns, checkpoint_id)
    JOIN checkpoint_writes AS p
        ON p.thread_id = page.thread_id AND p.checkpoint_ns = page.checkpoint_ns
        AND p.checkpoint_id = page.checkpoint_id
    ORDER BY p.thread_id, p.checkpoint_ns, p.checkpoint_id, p.task_id, p.idx, p.written_at DESC
) AS w
ORDER BY w.task_path COLLATE "C", w.task_id, w.idx;

-- checkpoint_delta_history --
-- For each channel the writes on the way from a checkpoint up to the nearest ancestor that stored its value,
-- oldest first, and that value. kind is 'write', 'seed' for a value, or 'place' for its version in the place of type.
WITH RECURSIVE walk AS (
    SELECT c.parent_checkpoint_id AS checkpoint_id, 1 AS depth, %(channels)s::text[] AS channels
    FROM checkpoints AS c
    WHERE c.thread_id = %(thread_id)s::uuid
        AND c.checkpoint_ns = %(checkpoint_ns)s::text
        AND c.checkpoint_id = coalesce(%(checkpoint_id)s::uuid, (
            SELECT checkpoint_id FROM checkpoints
            WHERE thread_id = %(thread_id)s::uuid AND checkpoint_ns = %(checkpoint_ns)s::text
            ORDER BY checkpoint_id DESC
            LIMIT 1
        ))
    UNION ALL
    SELECT c.parent_checkpoint_id, walk.depth + 1, ARRAY(
        SELECT wanted.channel
        FROM unnest(walk.channels) AS wanted (channel)
        WHERE wanted.channel <> ALL (c.inline_channels)
            AND NOT EXISTS (
                SELECT 1 FROM checkpoint_values AS v
                WHERE v.thread_id = %(thread_id)s::uuid AND v.checkpoint_ns = %(checkpoint_ns)s::text
                    AND v.channel = wanted.channel
                    AND v.version = c.checkpoint -> 'channel_versions' ->> wanted.channel
            )
    )
    FROM walk
    JOIN checkpoints AS c
        ON c.thread_id = %(thread_id)s::uuid AND c.checkpoint_ns = %(checkpoint_ns)s::text
        AND c.checkpoint_id = walk.checkpoint_id
    WHERE cardinality(walk.channels) > 0
), steps AS (
    SELECT checkpoint_id, depth, channels FROM walk WHERE checkpoint_id IS NOT NULL AND cardinality(channels) > 0
)
SELECT
    'write' AS kind, steps.depth, w.channel, w.type, w.value, w.task_id, w.task_path COLLATE "C" AS task_path, w.idx,
    steps.channels AS wanted
FROM steps
JOIN checkpoint_writes AS w
    ON w.thread_id = %(thread_id)s::uuid AND w.checkpoint_ns = %(checkpoint_ns)s::text
    AND w.checkpoint_id = steps.checkpoint_id AND (w.channel = ANY (steps.channels) OR w.type = 'writes')
UNION ALL
SELECT 'place', steps.depth, v.channel, v.version, NULL, NULL, '', 0, NULL
FROM steps
JOIN checkpoints AS c
    ON c.thread_id = %(thread_id)s::uuid AND c.checkpoint_ns = %(checkpoint_ns)s::text
    AND c.checkpoint_id = steps.checkpoint_id
CROSS JOIN unnest(steps.channels) AS wanted (channel)
JOIN checkpoint_values AS v
    ON v.thread_id = %(thread_id)s::uuid AND v.checkpoint_ns = %(checkpoint_ns)s::text
    AND v.channel = wanted.channel AND v.version = c.checkpoint -> 'channel_versions' ->> wanted.channel
UNION ALL
SELECT 'seed', steps.depth, i.channel, i.type, i.value, NULL, '', 0, NULL
FROM steps
JOIN checkpoints AS c
    ON c.thread_id = %(thread_id)s::uuid AND c.checkpoint_ns = %(checkpoint_ns)s::text
    AND c.checkpoint_id = steps.checkpoint_id
CROSS JOIN unnest(c.inline_channels, c.inline_types, c.inline_values) AS i (channel, type, value)
WHERE i.channel = ANY (steps.channels)
ORDER BY depth DESC, task_path, task_id, idx;

-- checkpoint_delete_for_threads --
-- Everything saved for these threads; run it in the transaction that deletes them.
WITH gone_values AS (
    DELETE FROM checkpoint_values WHERE thread_id = ANY (%(thread_ids)s::uuid[])
), gone_writes AS (
    DELETE FROM checkpoint_writes WHERE thread_id = ANY (%(thread_ids)s::uuid[])
), gone_tasks AS (
    DELETE FROM checkpoint_tasks WHERE thread_id = ANY (%(thread_ids)s::uuid[])
)
DELETE FROM checkpoints WHERE thread_id = ANY (%(thread_ids)s::uuid[]);

-- checkpoint_delete_for_runs --
-- Take back what runs saved: their checkpoints, what they wrote onto older ones, and values nobody else uses.
-- Checkpoints from which a surviving one still rebuilds a delta channel stay.
WITH RECURSIVE marked AS (
    SELECT thread_id, checkpoint_ns, checkpoint_id FROM checkpoints WHERE run_id = ANY (%(run_ids)s::uuid[])
), place AS (
    SELECT DISTINCT thread_id, checkpoint_ns FROM marked
), delta AS (
    SELECT DISTINCT c.thread_id, c.checkpoint_ns, counted.channel
    FROM place
    JOIN checkpoints AS c USING (thread_id, checkpoint_ns)
    CROSS JOIN LATERAL jsonb_object_keys(c.metadata -> 'counters_since_delta_snapshot') AS counted (channel)
    WHERE jsonb_typeof(c.metadata -> 'counters_since_delta_snapshot') = 'object'
), walk AS (
    -- From each survivor whose parent is marked, and for the channels that it did not store itself.
    SELECT c.thread_id, c.checkpoint_ns, c.parent_checkpoint_id AS checkpoint_id, ARRAY(
        SELECT delta.channel FROM delta
        WHERE delta.thread_id = c.thread_id AND delta.checkpoint_ns = c.checkpoint_ns
            AND c.checkpoint -> 'channel_versions' ? delta.channel
            AND NOT EXISTS (
                SELECT 1 FROM checkpoint_values AS v
                WHERE v.thread_id = c.thread_id AND v.checkpoint_ns = c.checkpoint_ns
                    AND v.channel = delta.channel
                    AND v.version = c.checkpoint -> 'channel_versions' ->> delta.channel
            )
    ) AS channels
    FROM marked
    JOIN checkpoints AS c
        ON c.thread_id = marked.thread_id AND c.checkpoint_ns = marked.checkpoint_ns
        AND c.parent_checkpoint_id = marked.checkpoint_id
    WHERE c.run_id IS NULL OR c.run_id <> ALL (%(run_ids)s::uuid[])
    UNION
    SELECT c.thread_id, c.checkpoint_ns, c.parent_checkpoint_id, ARRAY(
        SELECT wanted.channel
        FROM unnest(walk.channels) AS wanted (channel)
        WHERE c.checkpoint -> 'channel_versions' ? wanted.channel
            AND NOT EXISTS (
                SELECT 1 FROM checkpoint_values AS v
                WHERE v.thread_id = c.thread_id AND v.checkpoint_ns = c.checkpoint_ns
                    AND v.channel = wanted.channel
                    AND v.version = c.checkpoint -> 'channel_versions' ->> wanted.channel
            )
    )
    FROM walk
    JOIN checkpoints AS c USING (thread_id, checkpoint_ns, checkpoint_id)
    WHERE cardinality(walk.channels) > 0
), needed AS (
    SELECT DISTINCT thread_id, checkpoint_ns, checkpoint_id FROM walk WHERE cardinality(channels) > 0
), dropped AS (
    DELETE FROM checkpoints AS c
    USING marked
    WHERE c.thread_id = marked.thread_id AND c.checkpoint_ns = marked.checkpoint_ns
        AND c.checkpoint_id = marked.checkpoint_id
        AND NOT EXISTS (
            SELECT 1 FROM needed
            WHERE needed.thread_id = c.thread_id AND needed.checkpoint_ns = c.checkpoint_ns
                AND needed.checkpoint_id = c.checkpoint_id
        )
    RETURNING c.thread_id, c.checkpoint_ns, c.checkpoint_id
), dropped_writes AS (
    DELETE FROM checkpoint_writes AS w
    USING dropped
    WHERE w.thread_id = dropped.thread_id AND w.checkpoint_ns = dropped.checkpoint_ns
        AND w.checkpoint_id = dropped.checkpoint_id
), withdrawn_writes AS (
    DELETE FROM checkpoint_writes AS w
    WHERE w.run_id = ANY (%(run_ids)s::uuid[])
        AND w.run_id <> '00000000-0000-0000-0000-000000000000'
        AND NOT EXISTS (
            SELECT 1 FROM needed
            WHERE needed.thread_id = w.thread_id AND needed.checkpoint_ns = w.checkpoint_ns
                AND needed.checkpoint_id = w.checkpoint_id
        )
), dropped_tasks AS (
    DELETE FROM checkpoint_tasks AS t
    USING dropped
    WHERE t.thread_id = dropped.thread_id AND t.checkpoint_ns = dropped.checkpoint_ns
        AND t.checkpoint_id = dropped.checkpoint_id
), used AS (
    SELECT DISTINCT c.thread_id, c.checkpoint_ns, seen.channel, seen.version
    FROM place
    JOIN checkpoints AS c USING (thread_id, checkpoint_ns)
    CROSS JOIN LATERAL jsonb_each_text(c.checkpoint -> 'channel_versions') AS seen (channel, version)
    WHERE NOT EXISTS (
        SELECT 1 FROM dropped
        WHERE dropped.thread_id = c.thread_id AND dropped.checkpoint_ns = c.checkpoint_ns
            AND dropped.checkpoint_id = c.checkpoint_id
    )
), used_parts AS (
    -- What the values that stay are made of, also where no checkpoint shows those parts alone any more.
    SELECT v.thread_id, v.checkpoint_ns, v.channel, v.lineage, max(v.part) AS part
    FROM used
    JOIN checkpoint_values AS v USING (thread_id, checkpoint_ns, channel, version)
    WHERE v.lineage IS NOT NULL
    GROUP BY v.thread_id, v.checkpoint_ns, v.channel, v.lineage
), dropped_values AS (
    DELETE FROM checkpoint_values AS v
    USING place
    WHERE v.thread_id = place.thread_id AND v.checkpoint_ns = place.checkpoint_ns
        AND NOT EXISTS (
            SELECT 1 FROM used
            WHERE used.thread_id = v.thread_id AND used.checkpoint_ns = v.checkpoint_ns
                AND used.channel = v.channel AND used.version = v.version
        )
        AND NOT EXISTS (
            SELECT 1 FROM used_parts
            WHERE used_parts.thread_id = v.thread_id AND used_parts.checkpoint_ns = v.checkpoint_ns
                AND used_parts.channel = v.channel AND (
                    used_parts.lineage = v.version
                    OR (used_parts.lineage = v.lineage AND v.value IS NOT NULL AND v.part <= used_parts.part)
                )
        )
), severed AS (
    UPDATE checkpoints AS c
    SET parent_checkpoint_id = NULL
    FROM dropped
    WHERE c.thread_id = dropped.thread_id AND c.checkpoint_ns = dropped.checkpoint_ns
        AND c.parent_checkpoint_id = dropped.checkpoint_id
        AND (
            c.run_id IS NULL OR c.run_id <> ALL (%(run_ids)s::uuid[])
            OR EXISTS (
                SELECT 1 FROM needed
                WHERE needed.thread_id = c.thread_id AND needed.checkpoint_ns = c.checkpoint_ns
                    AND needed.checkpoint_id = c.checkpoint_id
            )
        )
)
SELECT count(*) FROM dropped;

-- checkpoint_copy_thread --
-- Give a new thread all that another one saved. The copies belong to no run: rolling back the run must not touch them.
WITH copied_values AS (
    INSERT INTO checkpoint_values (thread_id, checkpoint_ns, channel, version, type, value, lineage, part)
    SELECT %(target_thread_id)s::uuid, checkpoint_ns, channel, version, type, value, lineage, part
    FROM checkpoint_values
    WHERE thread_id = %(source_thread_id)s::uuid
    ON CONFLICT DO NOTHING
), copied_writes AS (
    INSERT INTO checkpoint_writes (
        thread_id, checkpoint_ns, checkpoint_id, task_id, idx, run_id, task_path, channel, type, value, written_at
    )
    SELECT DISTINCT ON (checkpoint_ns, checkpoint_id, task_id, idx)
        %(target_thread_id)s::uuid, checkpoint_ns, checkpoint_id, task_id, idx,
        '00000000-0000-0000-0000-000000000000'::uuid, task_path, channel, type, value, written_at
    FROM checkpoint_writes
    WHERE thread_id = %(source_thread_id)s::uuid
    ORDER BY checkpoint_ns, checkpoint_id, task_id, idx, checkpoint_writes.written_at DESC
    ON CONFLICT DO NOTHING
), copied_tasks AS (
    INSERT INTO checkpoint_tasks (thread_id, checkpoint_ns, checkpoint_id, next, tasks, channels, is_single, defaults)
    SELECT %(target_thread_id)s::uuid, checkpoint_ns, checkpoint_id, next, tasks, channels, is_single, defaults
    FROM checkpoint_tasks
    WHERE thread_id = %(source_thread_id)s::uuid
    ON CONFLICT DO NOTHING
)
INSERT INTO checkpoints (
    thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, run_id, created_at, checkpoint, metadata,
    inline_channels, inline_types, inline_values
)
SELECT
    %(target_thread_id)s::uuid, checkpoint_ns, checkpoint_id, parent_checkpoint_id, NULL, created_at, checkpoint,
    metadata, inline_channels, inline_types, inline_values
FROM checkpoints
WHERE thread_id = %(source_thread_id)s::uuid
ON CONFLICT DO NOTHING;

-- checkpoint_prune --
-- Keep the newest checkpoint of each namespace, and the ancestors from which it rebuilds its delta channels.
-- The namespace of one subgraph call goes with the root checkpoint that started the call.
WITH RECURSIVE head AS (
    SELECT DISTINCT ON (thread_id, checkpoint_ns)
        thread_id, checkpoint_ns, checkpoint_id, checkpoint, metadata -> 'parents' ->> '' AS root_id
    FROM checkpoints
    WHERE thread_id = ANY (%(thread_ids)s::uuid[])
    ORDER BY thread_id, checkpoint_ns, checkpoint_id DESC
), delta AS (
    SELECT DISTINCT c.thread_id, c.checkpoint_ns, counted.channel
    FROM checkpoints AS c
    CROSS JOIN LATERAL jsonb_object_keys(c.metadata -> 'counters_since_delta_snapshot') AS counted (channel)
    WHERE c.thread_id = ANY (%(thread_ids)s::uuid[])
        AND jsonb_typeof(c.metadata -> 'counters_since_delta_snapshot') = 'object'
), walk AS (
    SELECT head.thread_id, head.checkpoint_ns, head.checkpoint_id, true AS is_head, ARRAY(
        SELECT delta.channel FROM delta
        WHERE delta.thread_id = head.thread_id AND delta.checkpoint_ns = head.checkpoint_ns
    ) AS channels
    FROM head
    -- A call's namespace has its task id after a colon. It is over once the root has moved on; while the root
    -- checkpoint that started it is not there at all, it may only not have been saved yet.
    WHERE strpos(head.checkpoint_ns, ':') = 0
        OR NOT EXISTS (
            SELECT 1 FROM checkpoints AS root
            WHERE root.thread_id = head.thread_id AND root.checkpoint_ns = ''
                AND root.checkpoint_id::text = head.root_id
        )
        OR EXISTS (
            SELECT 1 FROM head AS root
            WHERE root.thread_id = head.thread_id AND root.checkpoint_ns = ''
                AND root.checkpoint_id::text = head.root_id
        )
    UNION ALL
    SELECT c.thread_id, c.checkpoint_ns, c.parent_checkpoint_id, false, ARRAY(
        SELECT wanted.channel
        FROM unnest(walk.channels) AS wanted (channel)
        WHERE c.checkpoint -> 'channel_versions' ? wanted.channel
            AND NOT EXISTS (
                SELECT 1 FROM checkpoint_values AS v
                WHERE v.thread_id = c.thread_id AND v.checkpoint_ns = c.checkpoint_ns
                    AND v.channel = wanted.channel
                    AND v.version = c.checkpoint -> 'channel_versions' ->> wanted.channel
            )
    )
    FROM walk
    JOIN checkpoints AS c USING (thread_id, checkpoint_ns, checkpoint_id)
    WHERE cardinality(walk.channels) > 0
), kept AS (
    SELECT thread_id, checkpoint_ns, checkpoint_id FROM walk WHERE is_head OR cardinality(channels) > 0
), dropped AS (
    DELETE FROM checkpoints AS c
    WHERE c.thread_id = ANY (%(thread_ids)s::uuid[])
        AND NOT EXISTS (
            SELECT 1 FROM kept
            WHERE kept.thread_id = c.thread_id AND kept.checkpoint_ns = c.checkpoint_ns
                AND kept.checkpoint_id = c.checkpoint_id
        )
    RETURNING c.thread_id, c.checkpoint_ns, c.checkpoint_id
), dropped_writes AS (
    DELETE FROM checkpoint_writes AS w
    USING dropped
    WHERE w.thread_id = dropped.thread_id AND w.checkpoint_ns = dropped.checkpoint_ns
        AND w.checkpoint_id = dropped.checkpoint_id
), dropped_tasks AS (
    -- Also those whose checkpoint was never saved, because the run saves only at its exit.
    DELETE FROM checkpoint_tasks AS t
    USING head
    WHERE t.thread_id = head.thread_id AND t.checkpoint_ns = head.checkpoint_ns
        AND t.checkpoint_id <= head.checkpoint_id
        AND NOT EXISTS (
            SELECT 1 FROM kept
            WHERE kept.thread_id = t.thread_id AND kept.checkpoint_ns = t.checkpoint_ns
                AND kept.checkpoint_id = t.checkpoint_id
        )
), used AS (
    SELECT DISTINCT c.thread_id, c.checkpoint_ns, seen.channel, seen.version
    FROM kept
    JOIN checkpoints AS c USING (thread_id, checkpoint_ns, checkpoint_id)
    CROSS JOIN LATERAL jsonb_each_text(c.checkpoint -> 'channel_versions') AS seen (channel, version)
), used_parts AS (
    -- What the values that stay are made of, also where no checkpoint shows those parts alone any more.
    SELECT v.thread_id, v.checkpoint_ns, v.channel, v.lineage, max(v.part) AS part
    FROM used
    JOIN checkpoint_values AS v USING (thread_id, checkpoint_ns, channel, version)
    WHERE v.lineage IS NOT NULL
    GROUP BY v.thread_id, v.checkpoint_ns, v.channel, v.lineage
), dropped_values AS (
    DELETE FROM checkpoint_values AS v
    WHERE v.thread_id = ANY (%(thread_ids)s::uuid[])
        -- A namespace whose first checkpoint is being saved right now has no head yet.
        AND EXISTS (
            SELECT 1 FROM head WHERE head.thread_id = v.thread_id AND head.checkpoint_ns = v.checkpoint_ns
        )
        AND NOT EXISTS (
            SELECT 1 FROM used
            WHERE used.thread_id = v.thread_id AND used.checkpoint_ns = v.checkpoint_ns
                AND used.channel = v.channel AND used.version = v.version
        )
        AND NOT EXISTS (
            SELECT 1 FROM used_parts
            WHERE used_parts.thread_id = v.thread_id AND used_parts.checkpoint_ns = v.checkpoint_ns
                AND used_parts.channel = v.channel AND (
                    used_parts.lineage = v.version
                    OR (used_parts.lineage = v.lineage AND v.value IS NOT NULL AND v.part <= used_parts.part)
                )
        )
), severed AS (
    UPDATE checkpoints AS c
    SET parent_checkpoint_id = NULL
    FROM kept
    WHERE c.thread_id = kept.thread_id AND c.checkpoint_ns = kept.checkpoint_ns
        AND c.checkpoint_id = kept.checkpoint_id
        AND c.parent_checkpoint_id IS NOT NULL
        AND NOT EXISTS (
            SELECT 1 FROM kept AS parent
            WHERE parent.thread_id = c.thread_id AND parent.checkpoint_ns = c.checkpoint_ns
                AND parent.checkpoint_id = c.parent_checkpoint_id
        )
)
SELECT count(*) FROM dropped;

-- checkpoint_usage --
-- Rows and stored bytes of one thread, by kind and channel; channel is null for checkpoints and writes.
SELECT 'checkpoints' AS kind, NULL AS channel, count(*) AS rows,
    coalesce(sum(
        pg_column_size(checkpoint) + pg_column_size(metadata) + coalesce(pg_column_size(inline_values), 0)
    ), 0)::bigint AS bytes
FROM checkpoints
WHERE thread_id = %(thread_id)s
    /* AND EXISTS (SELECT 1 FROM threads t WHERE t.thread_id = %(thread_id)s AND visible(t.metadata)) */
UNION ALL
SELECT 'values', channel, count(*), sum(octet_length(value))::bigint
FROM checkpoint_values
WHERE thread_id = %(thread_id)s
    /* AND EXISTS (SELECT 1 FROM threads t WHERE t.thread_id = %(thread_id)s AND visible(t.metadata)) */
GROUP BY channel
UNION ALL
SELECT 'writes', NULL, count(*), coalesce(sum(octet_length(value)), 0)::bigint
FROM checkpoint_writes
WHERE thread_id = %(thread_id)s
    /* AND EXISTS (SELECT 1 FROM threads t WHERE t.thread_id = %(thread_id)s AND visible(t.metadata)) */;

-- checkpoint_has_run --
-- Whether a run has saved a checkpoint of the root graph.
SELECT EXISTS (
    SELECT 1 FROM checkpoints
    WHERE run_id = %(run_id)s::uuid AND thread_id = %(thread_id)s::uuid AND checkpoint_ns = ''
);

-- checkpoint_resumed_tasks --
-- Tasks that a run has stored an answer for, with what they had asked.
SELECT DISTINCT ON (resumed.task_id, asked.checkpoint_id) resumed.task_id, asked.type, asked.value
FROM checkpoint_writes AS resumed
LEFT JOIN checkpoint_writes AS asked
    ON asked.thread_id = resumed.thread_id
    AND asked.checkpoint_ns = resumed.checkpoint_ns
    AND asked.checkpoint_id = resumed.checkpoint_id
    AND asked.task_id = resumed.task_id
    AND asked.channel = '__interrupt__'
WHERE resumed.thread_id = %(thread_id)s::uuid
    AND resumed.run_id = %(run_id)s::uuid
    AND resumed.run_id <> '00000000-0000-0000-0000-000000000000'
    AND resumed.channel = '__resume__';
