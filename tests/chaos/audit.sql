-- What happened to each run, written by the database itself: no process under test can hide anything from it.

CREATE TABLE chaos_audit (
    entry bigserial PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    run_id uuid NOT NULL,
    thread_id uuid NOT NULL,
    request text,
    change text NOT NULL,
    old_status text,
    status text,
    attempt integer NOT NULL,
    -- Back in the queue because its lease had ended, not in good order.
    swept boolean NOT NULL DEFAULT false,
    worker_id uuid
);

CREATE TABLE chaos_workers (
    worker_id uuid NOT NULL,
    pid integer NOT NULL
);

CREATE FUNCTION chaos_note_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO chaos_audit (run_id, thread_id, request, change, old_status, attempt, worker_id)
        VALUES (OLD.run_id, OLD.thread_id, OLD.metadata ->> 'request', 'delete', OLD.status, OLD.attempt, OLD.worker_id);
    ELSIF TG_OP = 'INSERT' THEN
        INSERT INTO chaos_audit (run_id, thread_id, request, change, status, attempt)
        VALUES (NEW.run_id, NEW.thread_id, NEW.metadata ->> 'request', 'insert', NEW.status, NEW.attempt);
    ELSIF OLD.status IS DISTINCT FROM NEW.status OR OLD.attempt IS DISTINCT FROM NEW.attempt THEN
        INSERT INTO chaos_audit (run_id, thread_id, request, change, old_status, status, attempt, swept, worker_id)
        VALUES (NEW.run_id, NEW.thread_id, NEW.metadata ->> 'request', 'update', OLD.status, NEW.status, NEW.attempt,
            OLD.status = 'running' AND NEW.status = 'pending' AND OLD.returned = NEW.returned,
            coalesce(NEW.worker_id, OLD.worker_id));
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER chaos_note_run AFTER INSERT OR UPDATE OR DELETE ON runs
FOR EACH ROW EXECUTE FUNCTION chaos_note_run();

CREATE FUNCTION chaos_note_worker() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_workers (worker_id, pid) VALUES (NEW.worker_id, NEW.pid);
    RETURN NULL;
END $$;

CREATE TRIGGER chaos_note_worker AFTER INSERT ON workers
FOR EACH ROW EXECUTE FUNCTION chaos_note_worker();
