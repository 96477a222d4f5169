-- Saved states of threads: what a graph resumes from, and what a reader sees without the graph.
--
-- Nothing here refers to threads or runs by foreign key: a superstep writes several rows, and each would lock
-- the parent row. Whoever deletes threads also runs checkpoint_delete_for_threads in the same transaction.

CREATE TABLE checkpoints (
    thread_id uuid NOT NULL,
    checkpoint_ns text NOT NULL,
    checkpoint_id uuid NOT NULL,
    parent_checkpoint_id uuid,
    -- The run that saved it, for rollback; null for state updates and copies.
    run_id uuid,
    created_at timestamptz NOT NULL,
    -- Everything but the values: v, channel_versions, versions_seen, updated_channels.
    checkpoint jsonb NOT NULL,
    metadata jsonb NOT NULL,
    -- Small scalars (most are the null marks of edges) live in the row; all else is in checkpoint_values.
    inline_channels text[] NOT NULL,
    inline_types text[] NOT NULL,
    inline_values bytea[] NOT NULL,
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id)
);
CREATE INDEX checkpoints_by_run ON checkpoints (run_id) WHERE run_id IS NOT NULL;

-- One row per channel and version, shared by all checkpoints that saw this version.
CREATE TABLE checkpoint_values (
    thread_id uuid NOT NULL,
    checkpoint_ns text NOT NULL,
    channel text NOT NULL,
    version text NOT NULL,
    type text NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (thread_id, checkpoint_ns, channel, version)
);
-- Large values arrive compressed, so Postgres need not try again.
ALTER TABLE checkpoint_values ALTER COLUMN value SET STORAGE EXTERNAL;

-- What the tasks of a superstep wrote before the next checkpoint took it in.
CREATE TABLE checkpoint_writes (
    thread_id uuid NOT NULL,
    checkpoint_ns text NOT NULL,
    checkpoint_id uuid NOT NULL,
    task_id uuid NOT NULL,
    idx integer NOT NULL,
    -- Part of the key: what a later run put over a special write (a resume, an interrupt) goes away with
    -- that run, and the earlier one is seen again. All zeros when there is no run.
    run_id uuid NOT NULL,
    task_path text NOT NULL,
    channel text NOT NULL,
    type text NOT NULL,
    value bytea NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, run_id)
);
CREATE INDEX checkpoint_writes_by_run ON checkpoint_writes (run_id)
    WHERE run_id <> '00000000-0000-0000-0000-000000000000';
ALTER TABLE checkpoint_writes ALTER COLUMN value SET STORAGE EXTERNAL;

-- What only the graph can tell about a checkpoint: the tasks that follow it and the channels a caller may see.
CREATE TABLE checkpoint_tasks (
    thread_id uuid NOT NULL,
    checkpoint_ns text NOT NULL,
    checkpoint_id uuid NOT NULL,
    next text[] NOT NULL,
    -- [{"id", "name", "path"?, "subgraph"}]
    tasks jsonb NOT NULL,
    -- Visible channels in the order of the state. With is_single the state is the value of that one channel.
    channels text[] NOT NULL,
    is_single boolean NOT NULL,
    -- What visible channels show that nobody has written yet, such as the empty list a reducer starts from.
    defaults jsonb NOT NULL,
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id)
);
