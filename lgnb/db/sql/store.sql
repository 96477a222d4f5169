-- Items of the store. What has expired is gone for every reader, also before it is swept.

-- store_get --
-- One item.
SELECT namespace, key, value, created_at, updated_at, ttl_minutes
FROM store_items
WHERE namespace = %(namespace)s::text[]
    AND key = %(key)s
    AND (expires_at IS NULL OR expires_at > now())

-- store_put --
-- Stores an item. One that replaces another keeps its time of creation, unless the other had expired.
INSERT INTO store_items AS i (namespace, key, value, created_at, updated_at, ttl_minutes, expires_at)
VALUES (
    %(namespace)s::text[], %(key)s, %(value)s::jsonb, clock_timestamp(), clock_timestamp(), %(ttl_minutes)s,
    clock_timestamp() + make_interval(secs => %(ttl_minutes)s::double precision * 60)
)
ON CONFLICT (namespace, key) DO UPDATE
SET value = EXCLUDED.value,
    created_at = CASE WHEN i.expires_at <= now() THEN EXCLUDED.created_at ELSE i.created_at END,
    updated_at = EXCLUDED.updated_at,
    ttl_minutes = EXCLUDED.ttl_minutes,
    expires_at = EXCLUDED.expires_at

-- store_refresh --
-- Gives an item that was read its whole time to live again.
UPDATE store_items
SET expires_at = now() + make_interval(secs => ttl_minutes * 60)
WHERE namespace = %(namespace)s::text[]
    AND key = %(key)s
    AND ttl_minutes IS NOT NULL
    AND expires_at > now()

-- store_delete --
-- Deletes an item; its vectors go with it.
DELETE FROM store_items
WHERE namespace = %(namespace)s::text[]
    AND key = %(key)s

-- store_sweep --
-- Deletes items that have expired. Rows that somebody else holds wait for the next sweep.
DELETE FROM store_items
WHERE (namespace, key) IN (
    SELECT namespace, key
    FROM store_items
    WHERE expires_at <= now()
    ORDER BY expires_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
