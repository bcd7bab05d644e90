import { keptUntil } from './lease-sql.ts'

/** Locks the resource's row, and reads the last token. */
export function lock(schema: string): string {
  return `SELECT l.token INTO last_token FROM ${schema}.shared_leases l WHERE ${same('l')} FOR NO KEY UPDATE;`
}

/** Hands to those who wait what there is room for. */
export function serve(schema: string, freedUntil: string): string {
  return `IF EXISTS (SELECT FROM ${schema}.shared_lease_waiters w WHERE ${same('w')}) THEN
    PERFORM ${schema}.serve_shared_lease_v1(p_kind, p_resource, NULL, now_at, ${freedUntil});
  END IF;`
}

/**
 * When so many of those in the way have ended that there is room, should nobody release; null when there is room now. A reader minds
 * nobody but a writer, of whom there is one at most. All others mind everybody: with a capacity of n, the one who ends as the n-th
 * from the last.
 */
export function wayOf(schema: string, of: string): string {
  return `(SELECT h.ends_at FROM ${schema}.shared_lease_holders h
      WHERE ${same('h')} AND h.ends_at > now_at AND (${of}.mode <> 'read' OR h.mode = 'write')
      ORDER BY h.ends_at DESC OFFSET ${of}.capacity - 1 LIMIT 1)`
}

/** The first that is missing among the numbers of those who hold. */
export function freeSlot(schema: string): string {
  return `IF p_kind = 'permits' THEN
      SELECT coalesce(min(t.place) FILTER (WHERE t.place <> t.slot), count(*)) INTO new_slot FROM (
        SELECT h.slot, row_number() OVER (ORDER BY h.slot) - 1 AS place FROM ${schema}.shared_lease_holders h WHERE ${same('h')}
      ) AS t;
    END IF;`
}

/** Keeps the last token, for long enough. */
export function keep(schema: string, end: string): string {
  return `UPDATE ${schema}.shared_leases l SET token = last_token, kept_until = greatest(l.kept_until, ${keptUntil(end)})
      WHERE ${same('l')} AND (l.token <> last_token OR l.kept_until < ${keptUntil(end)});`
}

/** Of the resource that the step is about. */
export function same(alias: string): string {
  return `${alias}.kind = p_kind AND ${alias}.resource = p_resource`
}

export function span(ms: string): string {
  return `${ms} * interval '1 ms'`
}

/** The answer. */
export function granted(token: string, slot: string): string {
  return `'granted ' || ${token} || coalesce(' ' || ${slot}, '')`
}
