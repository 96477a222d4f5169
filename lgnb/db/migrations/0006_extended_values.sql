-- A list that grew is stored as what was added to it, an unchanged value as a mark.
--
-- A row is one of three: a whole value (lineage is null); the next part of a list that began with the whole value
-- whose version is `lineage` (parts count from 1); or, without a value, the same as that whole value with its parts
-- up to `part`.

ALTER TABLE checkpoint_values
    ALTER COLUMN value DROP NOT NULL,
    ADD COLUMN lineage text,
    ADD COLUMN part integer NOT NULL DEFAULT 0;

-- Unique, so that two branches of a thread never extend one list in the same place.
CREATE UNIQUE INDEX checkpoint_values_by_part ON checkpoint_values (thread_id, checkpoint_ns, channel, lineage, part)
    WHERE lineage IS NOT NULL AND value IS NOT NULL;
