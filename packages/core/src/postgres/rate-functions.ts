import { PERMIT_ERROR } from '../rates/bucket.ts'

/** How many rows of those that are whole again a take removes at most, and how often it looks for them. */
const SWEPT_MAX = 64
const SWEEP_RATIO = 0.05

/**
 * Where quotas are, one row a key: `level` permits were out at `since` (see `rates/bucket.ts`).
 *
 * Not logged: a take waits for no disk. A crash of the server empties it, so that every quota is whole, and replicas have none of it.
 *
 * `ends_at` is when the row may be removed, rounded up to a second: while it stays the same an update need not touch its index.
 */
export function rateTables(schema: string): string {
  return `
    CREATE UNLOGGED TABLE IF NOT EXISTS ${schema}.rates (
      key text COLLATE "C" PRIMARY KEY,
      since timestamptz NOT NULL,
      level double precision NOT NULL,
      ends_at timestamptz NOT NULL
    ) WITH (fillfactor = 50);
    CREATE INDEX IF NOT EXISTS rates_by_end ON ${schema}.rates (ends_at);`
}

/** The table and the functions, as `schemaOf` looks for them. */
export const RATE_OBJECTS = ['rates', 'take_rates_v1', 'give_back_rate_v1'] as const

/** The functions of rates: each is one transaction and one round trip. */
export function rateFunctions(schema: string): string {
  return takeFunction(schema) + giveBackFunction(schema)
}

/**
 * Answers for each key what is granted, or `-` where it is refused, a space, and how many are out then. Locks rows in the order of
 * their keys, so that no two wait for each other, and looks at the clock once it has them all. It sweeps last, and waits for nobody.
 */
function takeFunction(schema: string): string {
  return `
CREATE OR REPLACE FUNCTION ${schema}.take_rates_v1(
  p_keys text[], p_limits double precision[], p_periods_ms double precision[], p_bursts double precision[],
  p_costs double precision[], p_leasts double precision[], p_patience_ms integer
) RETURNS text[] LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $holdfast$
DECLARE
  i integer;
  sinces timestamptz[];
  levels double precision[];
  ends timestamptz[];
  is_ahead boolean;
  now_at timestamptz;
  since_at timestamptz;
  end_at timestamptz;
  out_level double precision;
  granted double precision;
  is_refused boolean := false;
  answers text[];
BEGIN
  -- Who waits longer than its caller would take behind his back.
  PERFORM set_config('lock_timeout', p_patience_ms::text, true);
  FOR i IN SELECT k.at FROM unnest(p_keys) WITH ORDINALITY AS k (key, at) ORDER BY k.key COLLATE "C" LOOP
    LOOP
      SELECT r.since, r.level, r.ends_at INTO since_at, out_level, end_at FROM ${schema}.rates r WHERE r.key = p_keys[i] FOR NO KEY UPDATE;
      -- Who only asks makes nothing.
      EXIT WHEN FOUND OR p_costs[i] = 0;
      -- Somebody else may make it first: then his is the one.
      INSERT INTO ${schema}.rates (key, since, level, ends_at)
        VALUES (p_keys[i], clock_timestamp(), 0, clock_timestamp() + interval '1 s') ON CONFLICT (key) DO NOTHING;
    END LOOP;
    sinces[i] := since_at;
    levels[i] := coalesce(out_level, 0);
    ends[i] := end_at;
  END LOOP;
  now_at := clock_timestamp();
  FOR i IN 1 .. cardinality(p_keys) LOOP
    -- Whole by the quota that took last, it is whole for all; more than a burst may be out, where one with a larger one took it.
    out_level := CASE WHEN ends[i] <= now_at THEN 0
      ELSE greatest(0, levels[i] - ${elapsedMs('sinces[i]')} * p_limits[i] / p_periods_ms[i]) END;
    -- From the future: the clock went back. That is written also where a take is refused, or the key would stay closed until then.
    is_ahead := sinces[i] > now_at;
    IF is_ahead THEN
      out_level := least(p_bursts[i], out_level);
    END IF;
    granted := least(p_costs[i], floor(p_bursts[i] - out_level + ${PERMIT_ERROR}));
    IF granted < p_leasts[i] THEN
      is_refused := true;
      levels[i] := out_level;
      answers[i] := '- ' || out_level;
    ELSE
      levels[i] := out_level + granted;
      answers[i] := granted || ' ' || levels[i];
    END IF;
    IF is_ahead THEN
      ${keep(schema, 'p_keys[i]', 'out_level', 'p_periods_ms[i] / p_limits[i]')}
    END IF;
  END LOOP;
  FOR i IN 1 .. cardinality(p_keys) LOOP
    IF NOT is_refused AND p_costs[i] > 0 THEN
      ${keep(schema, 'p_keys[i]', 'levels[i]', 'p_periods_ms[i] / p_limits[i]')}
    END IF;
  END LOOP;
  IF random() < ${SWEEP_RATIO} THEN
    DELETE FROM ${schema}.rates WHERE key IN (
      SELECT r.key FROM ${schema}.rates r WHERE r.ends_at <= clock_timestamp() LIMIT ${SWEPT_MAX} FOR UPDATE SKIP LOCKED);
  END IF;
  RETURN answers;
END $holdfast$;`
}

function giveBackFunction(schema: string): string {
  return `
CREATE OR REPLACE FUNCTION ${schema}.give_back_rate_v1(
  p_key text, p_limit double precision, p_period_ms double precision, p_burst double precision, p_count double precision,
  p_patience_ms integer
) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $holdfast$
DECLARE
  r record;
  now_at timestamptz;
  out_level double precision;
BEGIN
  PERFORM set_config('lock_timeout', p_patience_ms::text, true);
  SELECT since, level, ends_at INTO r FROM ${schema}.rates WHERE key = p_key FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  now_at := clock_timestamp();
  out_level := greatest(0, r.level - ${elapsedMs('r.since')} * p_limit / p_period_ms) - p_count;
  IF r.ends_at > now_at AND out_level > p_burst THEN
    UPDATE ${schema}.rates SET since = now_at, level = out_level WHERE key = p_key;
  ELSIF r.ends_at > now_at AND out_level > ${PERMIT_ERROR} THEN
    ${keep(schema, 'p_key', 'out_level', 'p_period_ms / p_limit')}
  ELSE
    DELETE FROM ${schema}.rates WHERE key = p_key;
  END IF;
  RETURN true;
END $holdfast$;`
}

function elapsedMs(since: string): string {
  return `greatest(0, extract(epoch FROM now_at - ${since})::double precision * 1000)`
}

// Ends that are too far off for a date are cut: whoever owes that much has longer than a century of its quota.
function keep(schema: string, key: string, level: string, permitMs: string): string {
  return `UPDATE ${schema}.rates SET since = now_at, level = ${level}, ends_at = to_timestamp(
        ceil(extract(epoch FROM now_at)::double precision + least(${level} * ${permitMs} / 1000, 1e10)))
        WHERE rates.key = ${key};`
}
