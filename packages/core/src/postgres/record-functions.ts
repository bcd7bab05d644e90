import { RECORD_LIMITS } from '../ports/records.ts'
import { COMMITS_REMEMBERED } from '../records/revision.ts'

/** How many commits are known by their ids, with or without their answers. */
const COMMITS_KNOWN = 1_024
/** How many records of those who have gone a join or beat removes at most. */
const SWEPT_MAX = 16

/** Raised by `commit_v1` for a directory that would have too many records. */
const TOO_MANY_RECORDS = 'HF001'

/**
 * The functions that change records, for whoever may write to the tables: they run with the caller's rights. Each is one
 * transaction and one round trip. They are functions, and no single statements, because what is read after waiting for a row
 * must be what is there by then: each statement in a function looks anew.
 *
 * Notices say `c` and the id of a commit, or `e` and the TTL of an ephemeral record that came, or `e` alone.
 */
export function recordFunctions(schema: string): string {
  return commitFunction(schema) + joinFunction(schema) + beatFunction(schema)
}

/** Answers `{"kind": "committed" | "forgotten" | "conflict", …}`. An expectation is `-` for absence, or `=` and a version. */
function commitFunction(schema: string): string {
  return `
CREATE OR REPLACE FUNCTION ${schema}.commit_v1(
  p_directory text, p_history text, p_commit text, p_kinds text[], p_ids text[], p_values bytea[], p_expects text[],
  p_channel text, p_patience_ms integer
) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $holdfast$
DECLARE
  d record;
  known record;
  clashes json;
  grown integer;
  is_there boolean;
  now_ms bigint;
BEGIN
  -- Who waits longer than its caller would commit behind his back.
  PERFORM set_config('lock_timeout', p_patience_ms::text, true);
  LOOP
    -- Commits to a directory take turns by its row.
    SELECT history, number, record_count INTO d FROM ${schema}.directories WHERE name = p_directory FOR NO KEY UPDATE;
    is_there := FOUND;
    SELECT number, committed_at_ms INTO known FROM ${schema}.commits WHERE history = d.history AND commit_id = p_commit;
    IF FOUND AND d.number - known.number < ${COMMITS_REMEMBERED} THEN
      RETURN json_build_object('kind', 'committed', 'history', d.history, 'number', known.number,
        'committedAtMs', known.committed_at_ms);
    ELSIF FOUND THEN
      RETURN json_build_object('kind', 'forgotten');
    END IF;
    SELECT json_agg(json_build_object('id', c.id, 'version', r.version))
        FILTER (WHERE c.expect <> coalesce('=' || r.version, '-')),
      count(*) FILTER (WHERE c.kind = 'put' AND r.id IS NULL) - count(*) FILTER (WHERE c.kind = 'delete' AND r.id IS NOT NULL)
      INTO clashes, grown
      FROM unnest(p_kinds, p_ids, p_expects) AS c (kind, id, expect)
      LEFT JOIN ${schema}.records r ON r.history = d.history AND r.id = c.id;
    IF clashes IS NOT NULL THEN
      RETURN json_build_object('kind', 'conflict', 'conflicts', clashes);
    END IF;
    EXIT WHEN is_there;
    -- Somebody else may make it first: then his is the one.
    INSERT INTO ${schema}.directories (name, history) VALUES (p_directory, p_history) ON CONFLICT (name) DO NOTHING;
  END LOOP;
  IF d.record_count + grown > ${RECORD_LIMITS.directoryRecordsMax} THEN
    RAISE EXCEPTION 'A directory has at most ${RECORD_LIMITS.directoryRecordsMax} records; this one would have %.',
      d.record_count + grown USING ERRCODE = '${TOO_MANY_RECORDS}';
  END IF;
  DELETE FROM ${schema}.records r USING unnest(p_kinds, p_ids) AS c (kind, id)
    WHERE r.history = d.history AND r.id = c.id AND c.kind = 'delete';
  INSERT INTO ${schema}.records (history, id, value, version)
    SELECT d.history, c.id, c.value, p_commit FROM unnest(p_kinds, p_ids, p_values) AS c (kind, id, value) WHERE c.kind = 'put'
    ON CONFLICT (history, id) DO UPDATE SET value = EXCLUDED.value, version = EXCLUDED.version;
  now_ms := floor(extract(epoch FROM clock_timestamp()) * 1000);
  UPDATE ${schema}.directories
    SET number = d.number + 1, commit_id = p_commit, committed_at_ms = now_ms, record_count = d.record_count + grown
    WHERE name = p_directory;
  INSERT INTO ${schema}.commits (history, commit_id, number, committed_at_ms)
    VALUES (d.history, p_commit, d.number + 1, now_ms);
  DELETE FROM ${schema}.commits WHERE history = d.history AND number <= d.number + 1 - ${COMMITS_KNOWN};
  PERFORM pg_notify(p_channel, 'c' || p_commit);
  RETURN json_build_object('kind', 'committed', 'history', d.history, 'number', d.number + 1, 'committedAtMs', now_ms);
END $holdfast$;`
}

function joinFunction(schema: string): string {
  return `
CREATE OR REPLACE FUNCTION ${schema}.join_v1(
  p_directory text, p_history text, p_id text, p_owner text, p_value bytea, p_ttl_ms integer,
  p_channel text, p_patience_ms integer
) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $holdfast$
DECLARE
  d record;
  now_at timestamptz;
BEGIN
  PERFORM set_config('lock_timeout', p_patience_ms::text, true);
  LOOP
    SELECT history INTO d FROM ${schema}.directories WHERE name = p_directory;
    EXIT WHEN FOUND;
    INSERT INTO ${schema}.directories (name, history) VALUES (p_directory, p_history) ON CONFLICT (name) DO NOTHING;
  END LOOP;
  now_at := clock_timestamp();
  INSERT INTO ${schema}.ephemerals (history, id, owner, value, changed_at, ends_at)
    VALUES (d.history, p_id, p_owner, p_value, now_at, now_at + p_ttl_ms * interval '1 ms')
    ON CONFLICT (history, id) DO UPDATE
    SET owner = EXCLUDED.owner, value = EXCLUDED.value, changed_at = EXCLUDED.changed_at, ends_at = EXCLUDED.ends_at;
  ${sweep(schema, 'd.history')}
  PERFORM pg_notify(p_channel, 'e' || p_ttl_ms);
  RETURN 'joined';
END $holdfast$;`
}

/** Answers `kept`, `gone` or `replaced`. Tells listeners only of a value or of removed records: a notice takes a lock of all. */
function beatFunction(schema: string): string {
  return `
CREATE OR REPLACE FUNCTION ${schema}.beat_v1(
  p_directory text, p_id text, p_owner text, p_value bytea, p_ttl_ms integer, p_channel text, p_patience_ms integer
) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $holdfast$
DECLARE
  d record;
BEGIN
  PERFORM set_config('lock_timeout', p_patience_ms::text, true);
  SELECT history INTO d FROM ${schema}.directories WHERE name = p_directory;
  UPDATE ${schema}.ephemerals
    SET ends_at = clock_timestamp() + p_ttl_ms * interval '1 ms',
      value = coalesce(p_value, value),
      changed_at = CASE WHEN p_value IS NULL THEN changed_at ELSE clock_timestamp() END
    WHERE history = d.history AND id = p_id AND owner = p_owner AND ends_at > clock_timestamp();
  IF NOT FOUND THEN
    PERFORM FROM ${schema}.ephemerals
      WHERE history = d.history AND id = p_id AND owner <> p_owner AND ends_at > clock_timestamp();
    RETURN CASE WHEN FOUND THEN 'replaced' ELSE 'gone' END;
  END IF;
  -- Now and then: an index on the ends would have to be written with each beat.
  IF random() < 0.1 THEN
    ${sweep(schema, 'd.history')}
    IF FOUND THEN
      PERFORM pg_notify(p_channel, 'e');
    END IF;
  END IF;
  IF p_value IS NOT NULL THEN
    PERFORM pg_notify(p_channel, 'e');
  END IF;
  RETURN 'kept';
END $holdfast$;`
}

// Skips what another one removes or changes just now: two who sweep never wait for each other.
function sweep(schema: string, history: string): string {
  return `DELETE FROM ${schema}.ephemerals WHERE history = ${history} AND id IN (
      SELECT id FROM ${schema}.ephemerals WHERE history = ${history} AND ends_at <= clock_timestamp()
        LIMIT ${SWEPT_MAX} FOR UPDATE SKIP LOCKED);`
}
