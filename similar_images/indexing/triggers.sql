-- The function behind the triggers of triggers.py, which creates it.

-- Records which file each object of a source has now: ids and names are pairs, and an empty name means none.
CREATE OR REPLACE FUNCTION similar_images_set_files(
    source_key bigint, has_integer_key boolean, ids text[], names text[], is_rewritten boolean
) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $function$
DECLARE
    written bigint[];
BEGIN
    -- In the order of keys, so that two statements with the same objects wait for each other instead of forever.
    WITH files AS (
        SELECT id, name FROM unnest(ids, names) AS pair (id, name) WHERE name <> '' ORDER BY id
    ), requested AS (
        INSERT INTO similar_images_indexedimage AS record (
            source_id, object_id, object_key, file_name, revision, sha256, status, error, attempts, requested_at
        )
        SELECT source_key, id, CASE WHEN has_integer_key THEN id::bigint END, name, gen_random_uuid(), '', 'pending', '',
            0, clock_timestamp()
        FROM files
        ON CONFLICT (source_id, object_id) DO UPDATE SET
            file_name = excluded.file_name,
            revision = excluded.revision,
            sha256 = '',
            width = NULL,
            height = NULL,
            status = excluded.status,
            error = '',
            attempts = 0,
            requested_at = excluded.requested_at,
            started_at = NULL,
            retry_at = NULL,
            indexed_at = NULL
        WHERE is_rewritten OR record.file_name <> excluded.file_name
        RETURNING record.id
    )
    SELECT array_agg(id) INTO written FROM requested;
    -- A statement of its own sees the signatures, too, that a worker committed while the one above waited for its lock.
    DELETE FROM similar_images_signature WHERE record_id = ANY (written);
    IF '' <> ALL (names) THEN
        RETURN;
    END IF;
    DELETE FROM similar_images_indexedimage WHERE source_id = source_key AND object_id IN (
        SELECT id FROM unnest(ids, names) AS pair (id, name) WHERE name = ''
    );
    -- A worker that is just taking a request deletes it itself; waiting for it here could be forever.
    DELETE FROM similar_images_reindexrequest WHERE id IN (
        SELECT request.id
        FROM similar_images_reindexrequest AS request JOIN unnest(ids, names) AS pair (id, name)
            ON request.source_id = source_key AND request.object_id = pair.id
        WHERE pair.name = ''
        FOR UPDATE OF request SKIP LOCKED
    );
END
$function$;
