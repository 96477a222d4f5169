-- Assistants, threads, runs, crons and store items, and who executes what.

CREATE TABLE assistants (
    assistant_id uuid PRIMARY KEY,
    graph_id text NOT NULL,
    name text NOT NULL,
    description text,
    config jsonb NOT NULL DEFAULT '{}',
    context jsonb NOT NULL DEFAULT '{}',
    metadata jsonb NOT NULL DEFAULT '{}',
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX assistants_by_creation ON assistants (created_at DESC, assistant_id);
CREATE INDEX assistants_by_graph ON assistants (graph_id);
CREATE INDEX assistants_by_metadata ON assistants USING gin (metadata jsonb_path_ops);

CREATE TABLE assistant_versions (
    assistant_id uuid NOT NULL REFERENCES assistants ON DELETE CASCADE,
    version integer NOT NULL,
    graph_id text NOT NULL,
    name text NOT NULL,
    description text,
    config jsonb NOT NULL,
    context jsonb NOT NULL,
    metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (assistant_id, version)
);

CREATE TABLE threads (
    thread_id uuid PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    state_updated_at timestamptz NOT NULL DEFAULT now(),
    metadata jsonb NOT NULL DEFAULT '{}',
    config jsonb NOT NULL DEFAULT '{}',
    status text NOT NULL DEFAULT 'idle' CHECK (status IN ('idle', 'busy', 'interrupted', 'error')),
    -- json, not jsonb: a state is shown with its keys in the order in which the graph names them.
    "values" json,
    interrupts json NOT NULL DEFAULT '{}',
    error jsonb,
    -- The latest ThreadState without its values, so that reading it needs no graph and no checkpoint.
    state json,
    ttl_minutes double precision,
    ttl_strategy text CHECK (ttl_strategy IN ('delete', 'keep_latest')),
    expires_at timestamptz
);
CREATE INDEX threads_by_update ON threads (updated_at DESC, thread_id);
CREATE INDEX threads_by_creation ON threads (created_at DESC, thread_id);
CREATE INDEX threads_by_status ON threads (status, updated_at DESC);
CREATE INDEX threads_by_metadata ON threads USING gin (metadata jsonb_path_ops);
CREATE INDEX threads_by_values ON threads USING gin (("values"::jsonb) jsonb_path_ops);
CREATE INDEX threads_by_expiry ON threads (expires_at) WHERE expires_at IS NOT NULL;

-- A worker's heartbeat renews one row here; the leases of all its runs hang on it.
CREATE TABLE workers (
    worker_id uuid PRIMARY KEY,
    host_name text NOT NULL,
    pid integer NOT NULL,
    graph_ids text[] NOT NULL,
    jobs integer NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    lease_expires_at timestamptz NOT NULL
);

-- What workers say of the graphs they serve, so that assistants can be inspected while none is up.
CREATE TABLE graphs (
    graph_id text PRIMARY KEY,
    descriptor jsonb NOT NULL,
    -- Why the graph could not be loaded; null when it could.
    failure text,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE runs (
    run_id uuid PRIMARY KEY,
    thread_id uuid NOT NULL REFERENCES threads ON DELETE CASCADE,
    assistant_id uuid NOT NULL,
    graph_id text NOT NULL,
    status text NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'running', 'success', 'error', 'timeout', 'interrupted')),
    metadata jsonb NOT NULL DEFAULT '{}',
    kwargs json NOT NULL,
    multitask_strategy text NOT NULL,
    -- When the run may start: the time of the request plus after_seconds. The queue orders by it.
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- The fencing token: raised by each claim, quoted by each later write.
    attempt integer NOT NULL DEFAULT 0,
    -- Attempts given back by an orderly stop; they do not count against the limit.
    returned integer NOT NULL DEFAULT 0,
    worker_id uuid,
    started_at timestamptz,
    ended_at timestamptz,
    cancel_action text CHECK (cancel_action IN ('interrupt', 'rollback')),
    cancel_reason text
);
CREATE UNIQUE INDEX runs_one_running_per_thread ON runs (thread_id) WHERE status = 'running';
CREATE INDEX runs_pending ON runs (created_at, run_id) WHERE status = 'pending';
CREATE INDEX runs_pending_by_thread ON runs (thread_id, created_at, run_id) WHERE status = 'pending';
CREATE INDEX runs_running_by_worker ON runs (worker_id) WHERE status = 'running';
CREATE INDEX runs_by_thread ON runs (thread_id, created_at DESC);
CREATE INDEX runs_in_flight_by_assistant ON runs (assistant_id) WHERE status IN ('pending', 'running');

-- What a waiting caller is told, kept for some minutes: it outlives temporary threads and a lost Redis.
CREATE TABLE run_results (
    run_id uuid PRIMARY KEY,
    thread_id uuid NOT NULL,
    status text NOT NULL,
    result json NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX run_results_by_age ON run_results (created_at);

CREATE TABLE crons (
    cron_id uuid PRIMARY KEY,
    assistant_id uuid NOT NULL REFERENCES assistants ON DELETE CASCADE,
    thread_id uuid REFERENCES threads ON DELETE CASCADE,
    user_id text,
    schedule text NOT NULL,
    timezone text,
    end_time timestamptz,
    payload jsonb NOT NULL,
    metadata jsonb NOT NULL DEFAULT '{}',
    on_run_completed text CHECK (on_run_completed IN ('delete', 'keep')),
    enabled boolean NOT NULL DEFAULT true,
    next_run_date timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX crons_due ON crons (next_run_date) WHERE enabled;
CREATE INDEX crons_by_metadata ON crons USING gin (metadata jsonb_path_ops);

-- Labels compare by their bytes, so that everything under a namespace is one range of the primary key.
CREATE TABLE store_items (
    namespace text[] COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    value jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    ttl_minutes double precision,
    expires_at timestamptz,
    PRIMARY KEY (namespace, key)
);
CREATE INDEX store_items_by_update ON store_items (updated_at DESC, namespace, key);
CREATE INDEX store_items_by_value ON store_items USING gin (value jsonb_path_ops);
CREATE INDEX store_items_by_expiry ON store_items (expires_at) WHERE expires_at IS NOT NULL;
