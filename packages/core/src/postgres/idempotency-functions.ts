/** How many runs of those whose time is over a begin removes at most. */
const SWEPT_MAX = 4

/** Where the runs of idempotency keys are, one row each. `state` is `running`, `done`, `failed` or `released`. */
export function idempotencyTables(schema: string): string {
  return `
    CREATE TABLE IF NOT EXISTS ${schema}.idempotency_runs (
      key text COLLATE "C" PRIMARY KEY,
      state text COLLATE "C" NOT NULL,
      fingerprint text COLLATE "C" NOT NULL,
      owner text COLLATE "C" NOT NULL,
      fence bigint NOT NULL,
      lease_ends_at timestamptz NOT NULL,
      keep_ms bigint NOT NULL,
      result bytea,
      completed_at_ms bigint,
      ends_at timestamptz NOT NULL
    );
    CREATE INDEX IF NOT EXISTS idempotency_runs_by_end ON ${schema}.idempotency_runs (ends_at);`
}

/** The table and the functions, as `schemaOf` looks for them. */
export const IDEMPOTENCY_OBJECTS = ['idempotency_runs', 'begin_run_v1', 'renew_run_v1', 'end_run_v1'] as const

/**
 * The functions that change runs. Each is one transaction and one round trip. They are functions, and no single statements, because
 * what is read after waiting for a row must be what is there by then: each statement in a function looks anew.
 */
export function idempotencyFunctions(schema: string): string {
  return beginFunction(schema) + renewFunction(schema) + endFunction(schema)
}

/** Answers `{"kind": "run" | "in-flight" | "done" | "conflict" | "lost", …}`. A fence is text: JSON numbers would lose digits. */
function beginFunction(schema: string): string {
  return `
CREATE OR REPLACE FUNCTION ${schema}.begin_run_v1(
  p_key text, p_fingerprint text, p_owner text, p_lease_ms integer, p_reruns boolean, p_keep_ms bigint, p_patience_ms integer
) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $holdfast$
DECLARE
  run record;
  now_at timestamptz;
  is_ours boolean;
  next_fence bigint;
  lease interval := p_lease_ms * interval '1 ms';
  keep interval := p_keep_ms * interval '1 ms';
BEGIN
  PERFORM set_config('lock_timeout', p_patience_ms::text, true);
  LOOP
    SELECT * INTO run FROM ${schema}.idempotency_runs WHERE key = p_key FOR NO KEY UPDATE;
    EXIT WHEN FOUND;
    -- Somebody else may begin it first: then his is the one.
    now_at := clock_timestamp();
    INSERT INTO ${schema}.idempotency_runs (key, state, fingerprint, owner, fence, lease_ends_at, keep_ms, ends_at)
      VALUES (p_key, 'running', p_fingerprint, p_owner, floor(extract(epoch FROM now_at) * 1000000), now_at + lease, p_keep_ms,
        now_at + lease + keep)
      ON CONFLICT (key) DO NOTHING RETURNING fence INTO next_fence;
    IF FOUND THEN
      ${sweep(schema)}
      RETURN json_build_object('kind', 'run', 'fence', next_fence::text);
    END IF;
  END LOOP;
  now_at := clock_timestamp();
  is_ours := run.owner = p_owner;
  next_fence := greatest(run.fence + 1, floor(extract(epoch FROM now_at) * 1000000));
  IF run.ends_at > now_at AND run.state = 'released' AND is_ours THEN
    RETURN json_build_object('kind', 'run', 'fence', run.fence::text);
  ELSIF run.ends_at > now_at AND run.state <> 'released' THEN
    IF run.fingerprint <> p_fingerprint THEN
      RETURN json_build_object('kind', 'conflict');
    ELSIF run.state <> 'running' THEN
      RETURN json_build_object('kind', 'done', 'failed', run.state = 'failed', 'completedAtMs', run.completed_at_ms,
        'result', encode(run.result, 'hex'));
    ELSIF is_ours THEN
      next_fence := run.fence;
    ELSIF run.lease_ends_at > now_at THEN
      RETURN json_build_object('kind', 'in-flight',
        'leaseLeftMs', ceil(extract(epoch FROM run.lease_ends_at - now_at) * 1000));
    ELSIF NOT p_reruns THEN
      RETURN json_build_object('kind', 'lost');
    END IF;
  END IF;
  UPDATE ${schema}.idempotency_runs
    SET state = 'running', fingerprint = p_fingerprint, owner = p_owner, fence = next_fence, lease_ends_at = now_at + lease,
      keep_ms = p_keep_ms, ends_at = now_at + lease + keep, result = NULL, completed_at_ms = NULL
    WHERE key = p_key;
  RETURN json_build_object('kind', 'run', 'fence', next_fence::text);
END $holdfast$;`
}

/** Answers `kept` or `stale`. */
function renewFunction(schema: string): string {
  return `
CREATE OR REPLACE FUNCTION ${schema}.renew_run_v1(
  p_key text, p_owner text, p_fence bigint, p_lease_ms integer, p_patience_ms integer
) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $holdfast$
BEGIN
  PERFORM set_config('lock_timeout', p_patience_ms::text, true);
  UPDATE ${schema}.idempotency_runs
    SET lease_ends_at = clock_timestamp() + p_lease_ms * interval '1 ms',
      ends_at = clock_timestamp() + (p_lease_ms + keep_ms) * interval '1 ms'
    WHERE key = p_key AND owner = p_owner AND fence = p_fence AND state = 'running' AND ends_at > clock_timestamp();
  RETURN CASE WHEN FOUND THEN 'kept' ELSE 'stale' END;
END $holdfast$;`
}

/**
 * Ends a run: as `done` or `failed`, with a result, or as `released`. Answers `kept` or `stale`. A row that was released keeps the
 * fence and the owner: a repeated begin of his, come late, starts nothing.
 */
function endFunction(schema: string): string {
  return `
CREATE OR REPLACE FUNCTION ${schema}.end_run_v1(
  p_key text, p_owner text, p_fence bigint, p_state text, p_result bytea, p_keep_ms bigint, p_patience_ms integer
) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $holdfast$
BEGIN
  PERFORM set_config('lock_timeout', p_patience_ms::text, true);
  UPDATE ${schema}.idempotency_runs
    SET state = p_state, result = p_result, completed_at_ms = floor(extract(epoch FROM clock_timestamp()) * 1000),
      ends_at = clock_timestamp() + coalesce(p_keep_ms, keep_ms) * interval '1 ms'
    WHERE key = p_key AND owner = p_owner AND fence = p_fence AND state = 'running' AND ends_at > clock_timestamp();
  IF FOUND THEN
    RETURN 'kept';
  END IF;
  PERFORM FROM ${schema}.idempotency_runs
    WHERE key = p_key AND owner = p_owner AND fence = p_fence AND ends_at > clock_timestamp()
      AND (state = 'released') = (p_state = 'released') AND state <> 'running';
  RETURN CASE WHEN FOUND THEN 'kept' ELSE 'stale' END;
END $holdfast$;`
}

// Skips what another one changes just now: two who sweep never wait for each other.
function sweep(schema: string): string {
  return `DELETE FROM ${schema}.idempotency_runs WHERE key IN (
        SELECT key FROM ${schema}.idempotency_runs WHERE ends_at <= clock_timestamp()
          ORDER BY ends_at LIMIT ${SWEPT_MAX} FOR UPDATE SKIP LOCKED);`
}
