import type { Queue } from './closed-inboxes.ts'
import { backInPlace, firstWaiter, removeGone, watchFromNow } from './closed-inboxes.ts'
import { POSITION_MAX, inbox, keptUntil, micros, millis, sweep, tellFirst } from './lease-sql.ts'
import { freeSlot, granted, keep, lock, same, serve, span, wayOf } from './shared-lease-sql.ts'

/** The functions of shared resources. */
export const SHARED_LEASE_FUNCTIONS = [
  'serve_shared_lease_v1',
  'acquire_shared_lease_v1',
  'release_shared_lease_v1',
  'renew_shared_leases_v1',
  'downgrade_lease_v1',
] as const

/**
 * The steps of leases that are held beside others, made as those of `lease-functions.ts` are: each one transaction and one round
 * trip, under the lock of the resource's row, by `clock_timestamp()` after that, and again with the same request the same.
 *
 * A step that makes room hands it to as many waiters as fit, in order, each for `claim_ms` at most and told on its process's channel:
 * `<request> <token> <now in µs> <span in ms>`, and of a permit ` <slot>`. The first that does not fit is told `<request> <ms>` when
 * that is news to it: so long until enough of those in its way have ended.
 */
export function sharedLeaseFunctions(schema: string): string {
  return (
    serveFunction(schema) +
    acquireFunction(schema) +
    releaseFunction(schema) +
    renewFunction(schema) +
    downgradeFunction(schema)
  )
}

// For the other steps, which have the row's lock, and have removed those whose leases have ended. `p_asking` learns of it by the answer
// of its own step, not by message. `p_freed_until` is until when the one had it who has just left. Answers the last token.
function serveFunction(schema: string): string {
  return `
CREATE OR REPLACE FUNCTION ${schema}.serve_shared_lease_v1(
  p_kind text, p_resource text, p_asking text, now_at timestamptz, p_freed_until timestamptz
) RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $holdfast$
DECLARE
  head record;
  gone record;
  way timestamptz;
  last_ticket bigint;
  last_token bigint;
  new_slot integer;
  last_end timestamptz;
  told bigint;
  is_news boolean := false;
  has_removed boolean := false;
BEGIN
  SELECT l.token INTO last_token FROM ${schema}.shared_leases l WHERE l.kind = p_kind AND l.resource = p_resource;
  LOOP
    ${firstWaiter(queueOf(schema, 'p_asking'), 'head', ['mode', 'capacity'])}
    IF head.request IS NULL THEN
      RETURN last_token;
    END IF;
    way := ${wayOf(schema, 'head')};
    IF way IS NOT NULL THEN
      IF head.request IS DISTINCT FROM p_asking AND (is_news OR has_removed OR p_freed_until > way) THEN
        ${tellFirst('head.request', 'way - now_at')}
      END IF;
      RETURN last_token;
    END IF;
    is_news := true;
    last_ticket := head.ticket;
    IF head.mode = 'read' THEN
      SELECT coalesce(min(w.ticket) - 1, ${2n ** 63n - 1n}) INTO last_ticket FROM ${schema}.shared_lease_waiters w
        WHERE ${same('w')} AND w.mode <> 'read';
      ${removeGone(queueOf(schema, 'p_asking'), 'last_ticket')}
    ELSE
      last_token := greatest(last_token + 1, ${micros('now_at')});
    END IF;
    ${freeSlot(schema)}
    WITH served AS (
      DELETE FROM ${schema}.shared_lease_waiters w WHERE ${same('w')} AND w.ticket <= last_ticket RETURNING w.*
    ), held AS (
      INSERT INTO ${schema}.shared_lease_holders (kind, resource, request, mode, slot, token, meta, since, ends_at)
        SELECT p_kind, p_resource, s.request, s.mode, new_slot, last_token, s.meta, now_at,
            now_at + least(s.ttl_ms, CASE WHEN s.request = p_asking THEN s.ttl_ms ELSE s.claim_ms END) * interval '1 ms'
          FROM served s
        RETURNING request, ends_at
    )
    SELECT max(h.ends_at), count(pg_notify(${inbox('h.request')}, h.request || ' ' || last_token || ' ' || ${micros('now_at')} || ' ' ||
          ${millis('h.ends_at - now_at')} || coalesce(' ' || new_slot, ''))) FILTER (WHERE h.request IS DISTINCT FROM p_asking)
      INTO last_end, told FROM held h;
    ${keep(schema, 'last_end')}
  END LOOP;
END $holdfast$;`
}

/**
 * Answers `granted <token> <slot>` (a permit's slot), `held`, or with `p_claim_ms` > 0 `queued <now in µs> <ms until the first in the
 * queue need not wait for those who hold now> <position> <1 when the place is new> <ticket>`. One who waits, or only tries, looks
 * first and locks nothing while there is nothing new.
 */
function acquireFunction(schema: string): string {
  return `
CREATE OR REPLACE FUNCTION ${schema}.acquire_shared_lease_v1(
  p_kind text, p_resource text, p_request text, p_mode text, p_capacity integer, p_ttl_ms integer, p_claim_ms integer, p_meta text,
  p_watch bigint, p_ticket bigint, p_patience_ms integer
) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $holdfast$
DECLARE
  seen record;
  own record;
  own_ticket bigint;
  last_token bigint;
  new_slot integer;
  now_at timestamptz := clock_timestamp();
  last_end timestamptz;
  is_new boolean := false;
BEGIN
  ${look(schema)}
  IF seen.way IS NOT NULL AND NOT seen.is_holder THEN
    -- One who only tries is not to be kept out by somebody who waits no more.
    IF p_claim_ms = 0 AND (seen.first_watch IS NULL OR NOT pg_try_advisory_xact_lock(seen.first_watch)) THEN
      RETURN 'held';
    END IF;
    IF p_claim_ms > 0 AND seen.ticket IS NOT NULL THEN
      own_ticket := seen.ticket;
      ${watchFromNow(queueOf(schema, 'p_request'), 'seen.watch')}
    END IF;
  END IF;
  IF own_ticket IS NULL THEN
    -- Who waits longer than its caller would be granted behind his back.
    PERFORM set_config('lock_timeout', p_patience_ms::text, true);
    ${lockOrMake(schema)}
    now_at := clock_timestamp();
    DELETE FROM ${schema}.shared_lease_holders h WHERE ${same('h')} AND h.ends_at <= now_at;
    ${grantAgain(schema)}
    IF EXISTS (SELECT FROM ${schema}.shared_lease_waiters w WHERE ${same('w')}) THEN
      last_token := ${schema}.serve_shared_lease_v1(p_kind, p_resource, p_request, now_at, NULL);
      SELECT h.token, h.slot INTO own FROM ${schema}.shared_lease_holders h WHERE ${same('h')} AND h.request = p_request;
      IF FOUND THEN
        RETURN ${granted('own.token', 'own.slot')};
      END IF;
    END IF;
    ${look(schema)}
    IF seen.way IS NULL THEN
      ${grant(schema)}
    END IF;
    IF p_claim_ms = 0 THEN
      RETURN 'held';
    END IF;
    own_ticket := seen.ticket;
    IF own_ticket IS NULL THEN
      is_new := true;
      INSERT INTO ${schema}.shared_lease_waiters (kind, resource, request, mode, capacity, ttl_ms, claim_ms, meta, watch)
        VALUES (p_kind, p_resource, p_request, p_mode, p_capacity, p_ttl_ms, p_claim_ms, p_meta, p_watch)
        RETURNING ticket INTO own_ticket;
      ${backInPlace(queueOf(schema, 'p_request'))}
    ELSE
      ${watchFromNow(queueOf(schema, 'p_request'), 'seen.watch')}
    END IF;
  END IF;
  RETURN 'queued ' || ${micros('now_at')} || ' ' || ${millis('seen.way - now_at')} || ' ' ||
    (SELECT count(*) FROM (SELECT FROM ${schema}.shared_lease_waiters w WHERE ${same('w')} AND w.ticket < own_ticket
      LIMIT ${POSITION_MAX}) AS ahead) || ' ' || is_new::integer || ' ' || own_ticket;
END $holdfast$;`
}

// What can be seen without a lock, by one snapshot: when those have ended who are in the way of the first in the queue, or of this
// request where nobody waits. Null when nobody is in the way.
function look(schema: string): string {
  return `SELECT ${wayOf(schema, 'first')} AS way,
      EXISTS (SELECT FROM ${schema}.shared_lease_holders h WHERE ${same('h')} AND h.request = p_request AND h.ends_at > now_at) AS is_holder,
      first.watch AS first_watch, own_place.ticket, own_place.watch
    INTO seen FROM (
      SELECT coalesce(head.mode, p_mode) AS mode, coalesce(head.capacity, p_capacity) AS capacity, head.watch
        FROM (VALUES (0)) AS one LEFT JOIN LATERAL (
          SELECT w.mode, w.capacity, w.watch FROM ${schema}.shared_lease_waiters w WHERE ${same('w')} ORDER BY w.ticket LIMIT 1
        ) AS head ON true
    ) AS first LEFT JOIN ${schema}.shared_lease_waiters own_place ON ${same('own_place')} AND own_place.request = p_request;`
}

function queueOf(schema: string, asking: string): Queue {
  return { waiters: `${schema}.shared_lease_waiters`, same: same('w'), asking }
}

function lockOrMake(schema: string): string {
  return `${lock(schema)}
    IF NOT FOUND THEN
      INSERT INTO ${schema}.shared_leases (kind, resource, token, kept_until)
        VALUES (p_kind, p_resource, ${micros('clock_timestamp()')}, ${keptUntil('clock_timestamp()')})
        ON CONFLICT (kind, resource) DO NOTHING;
      IF FOUND THEN
        ${sweep(`${schema}.shared_leases`, 'kind, resource')}
      END IF;
      ${lock(schema)}
      IF NOT FOUND THEN
        RAISE serialization_failure USING MESSAGE = 'the row of the lease was removed meanwhile';
      END IF;
    END IF;`
}

// The same request again is alive, and gets all of its time.
function grantAgain(schema: string): string {
  return `UPDATE ${schema}.shared_lease_holders h SET ends_at = greatest(h.ends_at, now_at + ${span('p_ttl_ms')})
      WHERE ${same('h')} AND h.request = p_request RETURNING h.token, h.slot, h.ends_at INTO own;
    IF FOUND THEN
      ${keep(schema, 'own.ends_at')}
      RETURN ${granted('own.token', 'own.slot')};
    END IF;`
}

function grant(schema: string): string {
  return `IF p_mode <> 'read' THEN
        last_token := greatest(last_token + 1, ${micros('now_at')});
      END IF;
      ${freeSlot(schema)}
      INSERT INTO ${schema}.shared_lease_holders (kind, resource, request, mode, slot, token, meta, since, ends_at)
        VALUES (p_kind, p_resource, p_request, p_mode, new_slot, last_token, p_meta, now_at, now_at + ${span('p_ttl_ms')});
      ${keep(schema, `now_at + ${span('p_ttl_ms')}`)}
      RETURN ${granted('last_token', 'new_slot')};`
}

/** Answers `released` when it was held until now, else `lost`. A place in the queue is left as well. */
function releaseFunction(schema: string): string {
  return `
CREATE OR REPLACE FUNCTION ${schema}.release_shared_lease_v1(p_kind text, p_resource text, p_request text, p_patience_ms integer)
RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $holdfast$
DECLARE
  last_token bigint;
  now_at timestamptz;
  own_end timestamptz;
  freed_until timestamptz;
  own_ticket bigint;
BEGIN
  PERFORM set_config('lock_timeout', p_patience_ms::text, true);
  ${lock(schema)}
  IF NOT FOUND THEN
    RETURN 'lost';
  END IF;
  now_at := clock_timestamp();
  WITH gone AS (
    DELETE FROM ${schema}.shared_lease_holders h WHERE ${same('h')} AND (h.request = p_request OR h.ends_at <= now_at)
      RETURNING h.request, h.ends_at
  )
  SELECT max(g.ends_at) INTO own_end FROM gone g WHERE g.request = p_request;
  freed_until := own_end;
  IF own_end IS NULL THEN
    DELETE FROM ${schema}.shared_lease_waiters w WHERE ${same('w')} AND w.request = p_request RETURNING w.ticket INTO own_ticket;
    -- Whoever is first now has not been told anything yet.
    IF FOUND AND NOT EXISTS (SELECT FROM ${schema}.shared_lease_waiters w WHERE ${same('w')} AND w.ticket < own_ticket) THEN
      freed_until := 'infinity';
    END IF;
  END IF;
  ${serve(schema, 'freed_until')}
  RETURN CASE WHEN own_end > now_at THEN 'released' ELSE 'lost' END;
END $holdfast$;`
}

/** As `renew_leases_v1`, of resources of one kind. */
function renewFunction(schema: string): string {
  return `
CREATE OR REPLACE FUNCTION ${schema}.renew_shared_leases_v1(
  p_kind text, p_resources text[], p_requests text[], p_ttls_ms integer[], p_patience_ms integer
) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $holdfast$
DECLARE
  now_at timestamptz;
  answers text;
  last_end timestamptz;
  shortened text[];
  p_resource text;
  head record;
BEGIN
  PERFORM set_config('lock_timeout', p_patience_ms::text, true);
  PERFORM FROM ${schema}.shared_leases l WHERE l.kind = p_kind AND l.resource = ANY (p_resources) ORDER BY l.resource FOR NO KEY UPDATE;
  now_at := clock_timestamp();
  IF EXISTS (SELECT FROM ${schema}.shared_lease_waiters w WHERE w.kind = p_kind AND w.resource = ANY (p_resources)) THEN
    SELECT array_agg(DISTINCT a.resource) INTO shortened
      FROM unnest(p_resources, p_requests, p_ttls_ms) AS a (resource, request, ttl_ms)
      JOIN ${schema}.shared_lease_holders h ON h.kind = p_kind AND h.resource = a.resource AND h.request = a.request
      WHERE h.ends_at > now_at + ${span('a.ttl_ms')};
  END IF;
  WITH asked AS (
    SELECT * FROM unnest(p_resources, p_requests, p_ttls_ms) WITH ORDINALITY AS a (resource, request, ttl_ms, at)
  ), renewed AS (
    UPDATE ${schema}.shared_lease_holders h SET ends_at = now_at + ${span('a.ttl_ms')}
      FROM asked a
      WHERE h.kind = p_kind AND h.resource = a.resource AND h.request = a.request AND h.ends_at > now_at
      RETURNING h.resource, h.request, h.ends_at
  )
  SELECT string_agg(CASE WHEN r.request IS NULL THEN '0' ELSE '1' END, '' ORDER BY a.at), max(r.ends_at) INTO answers, last_end
    FROM asked a LEFT JOIN renewed r ON r.resource = a.resource AND r.request = a.request;
  UPDATE ${schema}.shared_leases l SET kept_until = ${keptUntil('last_end')}
    WHERE l.kind = p_kind AND l.resource = ANY (p_resources) AND l.kept_until < ${keptUntil('last_end')};
  FOREACH p_resource IN ARRAY coalesce(shortened, '{}') LOOP
    SELECT f.request, ${wayOf(schema, 'f')} AS way INTO head FROM (
      SELECT w.request, w.mode, w.capacity FROM ${schema}.shared_lease_waiters w WHERE ${same('w')} ORDER BY w.ticket LIMIT 1
    ) AS f;
    IF head.way IS NOT NULL THEN
      ${tellFirst('head.request', 'head.way - now_at')}
    END IF;
  END LOOP;
  RETURN answers;
END $holdfast$;`
}

/**
 * Makes a writer a reader under another request, and grants the readers that wait right behind. Answers `granted <token>`, or `lost` when
 * it wrote no more.
 */
function downgradeFunction(schema: string): string {
  return `
CREATE OR REPLACE FUNCTION ${schema}.downgrade_lease_v1(
  p_resource text, p_writer text, p_request text, p_ttl_ms integer, p_meta text, p_patience_ms integer
) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $holdfast$
DECLARE
  p_kind text := 'read-write';
  last_token bigint;
  now_at timestamptz;
  own record;
  freed_until timestamptz;
BEGIN
  PERFORM set_config('lock_timeout', p_patience_ms::text, true);
  ${lock(schema)}
  now_at := clock_timestamp();
  DELETE FROM ${schema}.shared_lease_holders h WHERE ${same('h')} AND h.ends_at <= now_at;
  ${grantAgain(schema)}
  SELECT h.ends_at INTO freed_until FROM ${schema}.shared_lease_holders h
    WHERE ${same('h')} AND h.request = p_writer AND h.mode = 'write';
  IF FOUND THEN
    UPDATE ${schema}.shared_lease_holders h
      SET request = p_request, mode = 'read', meta = p_meta, since = now_at, ends_at = now_at + ${span('p_ttl_ms')}
      WHERE ${same('h')} AND h.request = p_writer RETURNING h.token, h.slot, h.ends_at INTO own;
    ${keep(schema, 'own.ends_at')}
  END IF;
  ${serve(schema, 'freed_until')}
  RETURN CASE WHEN own.token IS NULL THEN 'lost' ELSE ${granted('own.token', 'own.slot')} END;
END $holdfast$;`
}
