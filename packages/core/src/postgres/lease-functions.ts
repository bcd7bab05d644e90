import { POSITION_MAX, inbox, keptUntil, micros, millis, sweep, tellFirst } from './lease-sql.ts'

/**
 * Where leases are, one row a resource, and those who wait, one row each, in the order of their tickets. A waiter's row is only
 * written under the lock of the resource's row, so tickets are given in the order in which they are seen.
 *
 * A resource is held while it has a `holder` and `ends_at` is to come. The row outlives the holder until `kept_until`: its last
 * token guards against a server clock that is set back; after that, the server's time alone keeps tokens growing. That time is
 * rounded up to 10 minutes: while it stays the same an update need not touch its index.
 */
export function leaseTables(schema: string): string {
  return `
    CREATE TABLE IF NOT EXISTS ${schema}.leases (
      resource text COLLATE "C" PRIMARY KEY,
      token bigint NOT NULL,
      holder text COLLATE "C",
      meta text,
      since timestamptz NOT NULL,
      ends_at timestamptz NOT NULL,
      is_queued boolean NOT NULL DEFAULT false,
      kept_until timestamptz NOT NULL
    ) WITH (fillfactor = 50);
    CREATE INDEX IF NOT EXISTS leases_by_keep ON ${schema}.leases (kept_until);
    CREATE TABLE IF NOT EXISTS ${schema}.lease_waiters (
      resource text COLLATE "C" REFERENCES ${schema}.leases (resource) ON DELETE CASCADE,
      ticket bigint GENERATED ALWAYS AS IDENTITY,
      request text COLLATE "C" NOT NULL,
      ttl_ms integer NOT NULL,
      claim_ms integer NOT NULL,
      meta text NOT NULL,
      PRIMARY KEY (resource, ticket),
      UNIQUE (resource, request)
    );`
}

/** The tables and the functions, as `schemaOf` looks for them. */
export const LEASE_OBJECTS = [
  'leases',
  'lease_waiters',
  'acquire_lease_v1',
  'release_lease_v1',
  'renew_leases_v1',
] as const

/**
 * The steps of leases, for whoever may write to the tables. Each is one transaction and one round trip, locks the resource's row
 * before it decides, and tells time by `clock_timestamp()` after that. Each may be repeated with the same request.
 *
 * A release hands the lease straight to the first waiter, for `claim_ms` at most, and tells that waiter's process on its channel
 * (`inboxOf`): `<request> <token> <now in µs> <span in ms>`. The new first waiter is told `<request> <ms>`, so that it wakes when the
 * new holder dies: nobody hands over for a dead one. Whether anybody listens cannot be seen here.
 */
export function leaseFunctions(schema: string): string {
  return acquireFunction(schema) + releaseFunction(schema) + renewFunction(schema)
}

/**
 * Answers `granted <token>`, `held`, or with `p_claim_ms` > 0 `queued <now in µs> <ms until the holder's lease ends> <position> <1 when
 * the place is new>`. One who waits, or only tries, looks first and locks nothing while there is nothing new.
 */
function acquireFunction(schema: string): string {
  return `
CREATE OR REPLACE FUNCTION ${schema}.acquire_lease_v1(
  p_resource text, p_request text, p_ttl_ms integer, p_claim_ms integer, p_meta text, p_patience_ms integer
) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $holdfast$
DECLARE
  lease record;
  head record;
  own_ticket bigint;
  next_request text;
  now_at timestamptz;
  span interval;
  new_token bigint;
  is_new boolean := false;
BEGIN
  SELECT * INTO lease FROM ${schema}.leases WHERE resource = p_resource;
  now_at := clock_timestamp();
  IF lease.holder <> p_request AND lease.ends_at > now_at THEN
    IF p_claim_ms = 0 THEN
      RETURN 'held';
    END IF;
    SELECT w.ticket INTO own_ticket FROM ${schema}.lease_waiters w WHERE w.resource = p_resource AND w.request = p_request;
  END IF;
  IF own_ticket IS NULL THEN
    -- Who waits longer than its caller would be granted behind his back.
    PERFORM set_config('lock_timeout', p_patience_ms::text, true);
    span := p_ttl_ms * interval '1 ms';
    ${grantIfFree(schema)}
    SELECT * INTO lease FROM ${schema}.leases WHERE resource = p_resource FOR NO KEY UPDATE;
    IF NOT FOUND THEN
      RAISE serialization_failure USING MESSAGE = 'the row of the lease was removed meanwhile';
    END IF;
    now_at := clock_timestamp();
    ${grantInTurn(schema)}
    IF p_claim_ms = 0 THEN
      RETURN 'held';
    END IF;
    ${queue(schema)}
  END IF;
  RETURN 'queued ' || ${micros('now_at')} || ' ' || ${millis('lease.ends_at - now_at')} || ' ' ||
    (SELECT count(*) FROM (SELECT FROM ${schema}.lease_waiters w WHERE w.resource = p_resource AND w.ticket < own_ticket
      LIMIT ${POSITION_MAX}) AS ahead) || ' ' || is_new::integer;
END $holdfast$;`
}

// A new resource, or one that nobody holds or waits for: most often it is. One statement, which locks, looks and takes.
function grantIfFree(schema: string): string {
  return `IF lease.resource IS NULL THEN
      INSERT INTO ${schema}.leases (resource, token, holder, meta, since, ends_at, kept_until)
        VALUES (p_resource, ${micros('now_at')}, p_request, p_meta, now_at, now_at + span, ${keptUntil('now_at + span')})
        ON CONFLICT (resource) DO NOTHING RETURNING token INTO new_token;
      IF FOUND THEN
        ${sweep(`${schema}.leases`, 'resource')}
        RETURN 'granted ' || new_token;
      END IF;
    END IF;
    UPDATE ${schema}.leases
      SET token = greatest(token + 1, ${micros('clock_timestamp()')}), holder = p_request, meta = p_meta, since = clock_timestamp(),
        ends_at = clock_timestamp() + span, kept_until = ${keptUntil('clock_timestamp() + span')}
      WHERE resource = p_resource AND NOT is_queued AND (holder IS NULL OR ends_at <= clock_timestamp())
      RETURNING token INTO new_token;
    IF FOUND THEN
      RETURN 'granted ' || new_token;
    END IF;`
}

// The same request again is alive, and gets all of its time. What nobody holds is the first waiter's, whoever asked.
function grantInTurn(schema: string): string {
  return `IF lease.holder = p_request AND lease.ends_at > now_at THEN
      UPDATE ${schema}.leases SET ends_at = now_at + span, kept_until = ${keptUntil('now_at + span')} WHERE resource = p_resource;
      RETURN 'granted ' || lease.token;
    END IF;
    IF lease.holder IS NULL OR lease.ends_at <= now_at THEN
      ${firstWaiter(schema)}
      IF head.request IS NULL OR head.request = p_request THEN
        head.request := p_request;
        head.ttl_ms := p_ttl_ms;
        head.claim_ms := p_ttl_ms;
        head.meta := p_meta;
        ${handOver(schema, { tells: false })}
        RETURN 'granted ' || new_token;
      END IF;
      ${handOver(schema, { tells: true })}
      lease.ends_at := now_at + span;
    END IF;`
}

function queue(schema: string): string {
  return `SELECT w.ticket INTO own_ticket FROM ${schema}.lease_waiters w WHERE w.resource = p_resource AND w.request = p_request;
    IF NOT FOUND THEN
      is_new := true;
      INSERT INTO ${schema}.lease_waiters (resource, request, ttl_ms, claim_ms, meta)
        VALUES (p_resource, p_request, p_ttl_ms, p_claim_ms, p_meta) RETURNING ticket INTO own_ticket;
      UPDATE ${schema}.leases SET is_queued = true WHERE resource = p_resource AND NOT is_queued;
    END IF;`
}

/** Answers `released` when it was held until now, else `lost`. A place in the queue is left as well. */
function releaseFunction(schema: string): string {
  return `
CREATE OR REPLACE FUNCTION ${schema}.release_lease_v1(p_resource text, p_request text, p_patience_ms integer)
RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $holdfast$
DECLARE
  lease record;
  head record;
  next_request text;
  now_at timestamptz;
  span interval;
  new_token bigint;
  was_held boolean;
BEGIN
  PERFORM set_config('lock_timeout', p_patience_ms::text, true);
  UPDATE ${schema}.leases SET holder = NULL, meta = NULL
    WHERE resource = p_resource AND holder = p_request AND NOT is_queued
    RETURNING ends_at > clock_timestamp() INTO was_held;
  IF FOUND THEN
    RETURN CASE WHEN was_held THEN 'released' ELSE 'lost' END;
  END IF;
  SELECT * INTO lease FROM ${schema}.leases WHERE resource = p_resource FOR NO KEY UPDATE;
  now_at := clock_timestamp();
  IF lease.holder = p_request THEN
    ${firstWaiter(schema)}
    IF FOUND THEN
      ${handOver(schema, { tells: true })}
    ELSE
      UPDATE ${schema}.leases SET holder = NULL, meta = NULL, is_queued = false WHERE resource = p_resource;
    END IF;
    RETURN CASE WHEN lease.ends_at > now_at THEN 'released' ELSE 'lost' END;
  END IF;
  IF lease.is_queued THEN
    ${firstWaiter(schema)}
    DELETE FROM ${schema}.lease_waiters WHERE resource = p_resource AND request = p_request;
    IF head.request = p_request THEN
      SELECT w.request INTO next_request FROM ${schema}.lease_waiters w WHERE w.resource = p_resource ORDER BY w.ticket LIMIT 1;
      IF FOUND THEN
        ${tellFirst('next_request', 'lease.ends_at - now_at')}
      ELSE
        UPDATE ${schema}.leases SET is_queued = false WHERE resource = p_resource;
      END IF;
    END IF;
  END IF;
  RETURN 'lost';
END $holdfast$;`
}

/**
 * Answers a `1` for each renewal that was made, and a `0` for each whose lease is another's, or nobody's. Rows are locked in the order
 * of their names, so that no two wait for each other.
 */
function renewFunction(schema: string): string {
  return `
CREATE OR REPLACE FUNCTION ${schema}.renew_leases_v1(
  p_resources text[], p_requests text[], p_ttls_ms integer[], p_patience_ms integer
) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $holdfast$
DECLARE
  now_at timestamptz;
  answers text;
BEGIN
  PERFORM set_config('lock_timeout', p_patience_ms::text, true);
  PERFORM FROM ${schema}.leases WHERE resource = ANY (p_resources) ORDER BY resource FOR NO KEY UPDATE;
  now_at := clock_timestamp();
  WITH asked AS (
    SELECT * FROM unnest(p_resources, p_requests, p_ttls_ms) WITH ORDINALITY AS a (resource, request, ttl_ms, at)
  ), renewed AS (
    UPDATE ${schema}.leases l
      SET ends_at = now_at + a.ttl_ms * interval '1 ms', kept_until = ${keptUntil("now_at + a.ttl_ms * interval '1 ms'")}
      FROM asked a
      WHERE l.resource = a.resource AND l.holder = a.request AND l.ends_at > now_at
      RETURNING l.resource, l.holder
  )
  SELECT string_agg(CASE WHEN r.holder IS NULL THEN '0' ELSE '1' END, '' ORDER BY a.at) INTO answers
    FROM asked a LEFT JOIN renewed r ON r.resource = a.resource AND r.holder = a.request;
  RETURN answers;
END $holdfast$;`
}

function firstWaiter(schema: string): string {
  return `SELECT w.ticket, w.request, w.ttl_ms, w.claim_ms, w.meta INTO head FROM ${schema}.lease_waiters w
      WHERE w.resource = p_resource ORDER BY w.ticket LIMIT 1;`
}

// Makes `head` the holder, and tells who is first then. Whose own step this is learns of it by the answer, not by message.
function handOver(schema: string, { tells }: { readonly tells: boolean }): string {
  const toldHolder = `PERFORM pg_notify(${inbox('head.request')},
        head.request || ' ' || new_token || ' ' || ${micros('now_at')} || ' ' || ${millis('span')});`
  return `DELETE FROM ${schema}.lease_waiters w WHERE w.resource = p_resource AND w.ticket = head.ticket;
      SELECT w.request INTO next_request FROM ${schema}.lease_waiters w WHERE w.resource = p_resource ORDER BY w.ticket LIMIT 1;
      span := least(head.ttl_ms, head.claim_ms) * interval '1 ms';
      UPDATE ${schema}.leases
        SET token = greatest(token + 1, ${micros('now_at')}), holder = head.request, meta = head.meta, since = now_at,
          ends_at = now_at + span, is_queued = next_request IS NOT NULL, kept_until = ${keptUntil('now_at + span')}
        WHERE resource = p_resource RETURNING token INTO new_token;
      ${tells ? toldHolder : ''}
      IF next_request IS NOT NULL THEN
        ${tellFirst('next_request', 'span')}
      END IF;`
}
