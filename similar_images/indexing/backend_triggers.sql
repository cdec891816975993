-- The functions behind the triggers of backend_triggers.py, which creates them: each notes of which records a search
-- backend has to be told, and inserts only, so that no statement of a host's waits for it.

-- Signatures were written or deleted.
CREATE OR REPLACE FUNCTION similar_images_note_signatures() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $function$
BEGIN
    INSERT INTO similar_images_backendchange (record_id, version_id, changed_at)
    SELECT record_id, method_version.id, clock_timestamp()
    FROM changed_rows AS changed JOIN similar_images_methodversion AS method_version
        ON method_version.source_id = changed.source_id AND method_version.name = changed.method
        AND method_version.version = changed.version
    WHERE backend_cursor IS NOT NULL;
    RETURN NULL;
END
$function$;

-- Objects were changed. Arguments: app label, model and field of the source; the column of the key; and those of the
-- attributes.
CREATE OR REPLACE FUNCTION similar_images_note_attributes() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $function$
DECLARE
    columns text;
    keys text[];
BEGIN
    SELECT string_agg(quote_ident(name), ', ') INTO columns FROM unnest(TG_ARGV[3:]) AS name;
    EXECUTE format(
        'SELECT array_agg(%I::text) FROM (SELECT %s FROM new_rows EXCEPT SELECT %s FROM old_rows) AS changed',
        TG_ARGV[3], columns, columns
    ) INTO keys;
    IF keys IS NOT NULL THEN
        INSERT INTO similar_images_backendchange (record_id, version_id, changed_at)
        SELECT record.id, method_version.id, clock_timestamp()
        FROM similar_images_source AS source
        JOIN similar_images_methodversion AS method_version
            ON method_version.source_id = source.id AND backend_cursor IS NOT NULL
        JOIN similar_images_indexedimage AS record ON record.source_id = source.id AND object_id = ANY (keys)
        WHERE app_label = TG_ARGV[0] AND model = TG_ARGV[1] AND field = TG_ARGV[2];
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'similar_images: the search backend is not told of a change, as this failed: %', SQLERRM;
    RETURN NULL;
END
$function$;
