-- What webhooks are to be told, written in the transaction that ends a run, and what became of it.

CREATE TABLE webhook_deliveries (
    delivery_id uuid PRIMARY KEY,
    -- No references: a stateless run and its thread are gone when their webhook is told.
    run_id uuid NOT NULL,
    thread_id uuid NOT NULL,
    url text NOT NULL,
    payload json NOT NULL,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed')),
    -- How often it may still be tried.
    tries_left integer NOT NULL,
    -- When to try next, or when to try again should the process that tries it now die.
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_attempt_at) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_by_run ON webhook_deliveries (run_id);
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (created_at);

CREATE TABLE webhook_attempts (
    delivery_id uuid NOT NULL REFERENCES webhook_deliveries ON DELETE CASCADE,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seconds double precision NOT NULL,
    -- The status of the answer, or null when there was none.
    response_status integer,
    error text
);
CREATE INDEX webhook_attempts_by_delivery ON webhook_attempts (delivery_id, started_at);
