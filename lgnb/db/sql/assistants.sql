-- Assistants and their versions.

-- assistant_get --
-- One assistant by id.
SELECT assistant_id, graph_id, config, context, metadata, name, created_at, updated_at, version, description
FROM assistants
WHERE assistant_id = %(assistant_id)s
    /* AND visible(metadata) */

-- assistant_to_run --
-- One assistant by id, why its graph could not be loaded, if so, and a mark that another one replaces once either row
-- changes.
SELECT
    a.assistant_id, a.graph_id, a.config, a.context, a.metadata, a.name, a.created_at, a.updated_at, a.version,
    a.description, g.failure, concat_ws('/', a.xmin, g.xmin) AS mark
FROM assistants AS a
LEFT JOIN graphs AS g USING (graph_id)
WHERE a.assistant_id = %(assistant_id)s
    /* AND visible(a.metadata) */

-- assistant_insert --
-- Creates an assistant with its first version; an empty result means the id is taken.
WITH created AS (
    INSERT INTO assistants (assistant_id, graph_id, config, context, metadata, name, description)
    VALUES (%(assistant_id)s, %(graph_id)s, %(config)s, %(context)s, %(metadata)s, %(name)s, %(description)s)
    ON CONFLICT (assistant_id) DO NOTHING
    RETURNING assistant_id, graph_id, config, context, metadata, name, created_at, updated_at, version, description
), versioned AS (
    INSERT INTO assistant_versions
        (assistant_id, version, graph_id, name, description, config, context, metadata, created_at)
    SELECT assistant_id, version, graph_id, name, description, config, context, metadata, created_at
    FROM created
)
SELECT assistant_id, graph_id, config, context, metadata, name, created_at, updated_at, version, description
FROM created

-- assistant_update --
-- Changes what is given (null keeps), merges metadata shallowly and stores the result as a new version.
WITH numbered AS (
    SELECT coalesce(max(v.version), 0) + 1 AS version
    FROM assistant_versions v
    WHERE v.assistant_id = %(assistant_id)s
), updated AS (
    UPDATE assistants a
    SET graph_id = coalesce(%(graph_id)s, a.graph_id),
        config = coalesce(%(config)s, a.config),
        context = coalesce(%(context)s, a.context),
        metadata = a.metadata || coalesce(%(metadata)s, '{}'::jsonb),
        name = coalesce(%(name)s, a.name),
        description = coalesce(%(description)s, a.description),
        version = numbered.version,
        updated_at = now()
    FROM numbered
    WHERE a.assistant_id = %(assistant_id)s
        /* AND visible(a.metadata) */
    RETURNING a.assistant_id, a.graph_id, a.config, a.context, a.metadata, a.name, a.created_at, a.updated_at,
        a.version, a.description
), versioned AS (
    INSERT INTO assistant_versions
        (assistant_id, version, graph_id, name, description, config, context, metadata, created_at)
    SELECT assistant_id, version, graph_id, name, description, config, context, metadata, updated_at
    FROM updated
)
SELECT assistant_id, graph_id, config, context, metadata, name, created_at, updated_at, version, description
FROM updated

-- assistant_lock --
-- Serialises changes of one assistant, so that version numbers stay unique.
SELECT assistant_id
FROM assistants
WHERE assistant_id = %(assistant_id)s
    /* AND visible(metadata) */
FOR UPDATE

-- assistant_delete --
-- Deletes an assistant; its versions and crons go with it.
DELETE FROM assistants
WHERE assistant_id = %(assistant_id)s
    /* AND visible(metadata) */
RETURNING assistant_id

-- assistant_versions_page --
-- Stored versions, newest first.
SELECT assistant_id, graph_id, config, context, metadata, name, created_at, version, description
FROM assistant_versions
WHERE assistant_id = %(assistant_id)s
    AND metadata @> %(metadata)s
    /* AND EXISTS (
        SELECT 1 FROM assistants a WHERE a.assistant_id = assistant_versions.assistant_id AND visible(a.metadata)
    ) */
ORDER BY version DESC
LIMIT %(limit)s
OFFSET %(offset)s

-- assistant_version_get --
-- One stored version.
SELECT assistant_id, graph_id, config, context, metadata, name, created_at, version, description
FROM assistant_versions
WHERE assistant_id = %(assistant_id)s
    AND version = %(version)s

-- assistant_set_latest --
-- Makes a stored version the current one, whole, without making a new version.
UPDATE assistants a
SET graph_id = v.graph_id,
    config = v.config,
    context = v.context,
    metadata = v.metadata || %(metadata)s::jsonb,
    name = v.name,
    description = v.description,
    version = v.version,
    updated_at = now()
FROM assistant_versions v
WHERE a.assistant_id = %(assistant_id)s
    AND v.assistant_id = a.assistant_id
    AND v.version = %(version)s
    /* AND visible(a.metadata) */
RETURNING a.assistant_id, a.graph_id, a.config, a.context, a.metadata, a.name, a.created_at, a.updated_at,
    a.version, a.description
