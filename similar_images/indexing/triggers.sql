-- The functions behind the triggers of triggers.py, which creates them.

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

-- The trigger of one event on one table. Its arguments are app label, model and field of the source; whether its keys
-- are integers; the columns of this table with the key and with the file name, or '' where another table has it; and,
-- where not all is in this table, a query of object id, file name and this table's key.
-- A host's statement does not wait longer than the lock_timeout for whoever has locked our tables.
CREATE OR REPLACE FUNCTION similar_images_track() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT SET lock_timeout = '2s' AS $function$
DECLARE
    has_integer_key CONSTANT boolean := TG_ARGV[3];
    key_column CONSTANT text := TG_ARGV[4];
    name_column CONSTANT text := TG_ARGV[5];
    files CONSTANT text := TG_ARGV[6];
    changed text;
    source_key bigint;
    ids text[];
    names text[];
    gone text[];
BEGIN
    SELECT id INTO source_key FROM similar_images_source
    WHERE app_label = TG_ARGV[0] AND model = TG_ARGV[1] AND field = TG_ARGV[2];
    IF source_key IS NULL THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' THEN
        EXECUTE format('SELECT array_agg(%I::text) FROM old_rows', key_column) INTO ids;
        names := array_fill(''::text, ARRAY[cardinality(ids)]);
    ELSE
        IF name_column = '' THEN
            changed := format('SELECT %I AS key, NULL::text AS name FROM new_rows', key_column);
        ELSE
            changed := format('SELECT %I AS key, %I AS name FROM new_rows', key_column, name_column);
        END IF;
        IF TG_OP = 'UPDATE' THEN
            changed := changed || format(' EXCEPT SELECT %I, %I FROM old_rows', key_column, name_column);
        END IF;
        IF files = '' THEN
            EXECUTE format(
                'SELECT array_agg(key::text), array_agg(coalesce(name, '''')) FROM (%s) AS changed', changed
            ) INTO ids, names;
        ELSE
            EXECUTE format(
                'SELECT array_agg(id), array_agg(coalesce(name, '''')) FROM (%s) AS file (id, name, key) '
                'WHERE key IN (SELECT key FROM (%s) AS changed)', files, changed
            ) INTO ids, names;
        END IF;
        IF TG_OP = 'UPDATE' AND files = '' AND ids IS NOT NULL THEN
            EXECUTE format(
                'SELECT array_agg(key::text) FROM '
                '(SELECT %1$I AS key FROM old_rows EXCEPT SELECT %1$I FROM new_rows) AS gone', key_column
            ) INTO gone;
            IF gone IS NOT NULL THEN
                ids := ids || gone;
                names := names || array_fill(''::text, ARRAY[cardinality(gone)]);
            END IF;
        END IF;
    END IF;
    IF ids IS NOT NULL THEN
        PERFORM similar_images_set_files(source_key, has_integer_key, ids, names, false);
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    -- A host at REPEATABLE READ can't write a record that a worker has written meanwhile: inserting never conflicts.
    RAISE WARNING 'similar_images: a record is written later, as this failed: %', SQLERRM;
    BEGIN
        INSERT INTO similar_images_reindexrequest (source_id, object_id, due_at)
        SELECT source_key, id, clock_timestamp() FROM unnest(ids) AS id;
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'similar_images: a change is left to the sweep, as this failed: %', SQLERRM;
    END;
    RETURN NULL;
END
$function$;
