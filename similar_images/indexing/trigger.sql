-- The function of one trigger, made of it by triggers.py: what is in braces is of its table, whose columns may have the
-- names of variables.
-- A host's statement does not wait longer than the lock_timeout for whoever has locked our tables.
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT SET lock_timeout = '2s' AS $function$
#variable_conflict use_column
DECLARE
    source_key bigint;
    ids text[];
    names text[];
BEGIN
    SELECT array_agg(file.id), array_agg(coalesce(file.name, '')) INTO ids, names FROM ({files}) AS file (id, name);
    IF ids IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT id INTO source_key FROM similar_images_source
    WHERE app_label = {app_label} AND model = {model} AND field = {field};
    IF source_key IS NOT NULL THEN
        IF '' <> ANY (names) THEN
            RAISE NOTICE 'similar_images: records are due' USING ERRCODE = 'SI001';  -- see notices.py
        END IF;
        PERFORM similar_images_set_files(source_key, {has_integer_key}, ids, names, false);
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
$function$
