/** How long the last token of a resource is kept at least once nobody holds it, and in which steps such times are written. */
const RETENTION_MS = 60_000
const KEEP_STEP_S = 600
/** How many resources that nobody came back to a new one removes at most. */
const SWEPT_MAX = 4
/** A place beyond this one is told as this one: whoever is so far behind need not know better. */
export const POSITION_MAX = 50

/** The channel on which a process hears of leases that are handed to it: what its request ids start with. */
export function inboxOf(requestId: string): string {
  return `holdfast_${requestId.split('.', 1)[0]}`.slice(0, 63)
}

/** As `inboxOf`. */
export function inbox(request: string): string {
  return `left('holdfast_' || split_part(${request}, '.', 1), 63)`
}

export function micros(at: string): string {
  return `floor(extract(epoch FROM ${at}) * 1000000)::bigint`
}

export function millis(span: string): string {
  return `greatest(0, ceil(extract(epoch FROM ${span}) * 1000))::bigint`
}

/** Until when a row is kept whose lease ends then: rounded up, so that updates in place need not touch its index. */
export function keptUntil(end: string): string {
  return `to_timestamp(ceil((extract(epoch FROM ${end}) + ${RETENTION_MS / 1_000}) / ${KEEP_STEP_S}) * ${KEEP_STEP_S})`
}

/** Tells the first waiter for how long to be quiet at most, should those in its way die. */
export function tellFirst(request: string, remaining: string): string {
  return `PERFORM pg_notify(${inbox(request)}, ${request} || ' ' || ${millis(remaining)});`
}

/**
 * Removes what nobody came back to. Those who wait for what nobody has asked about for so long are gone as well. Skips what another
 * one changes just now: two who sweep never wait for each other.
 */
export function sweep(table: string, key: string): string {
  return `DELETE FROM ${table} WHERE (${key}) IN (
          SELECT ${key} FROM ${table} WHERE kept_until <= clock_timestamp()
            ORDER BY kept_until LIMIT ${SWEPT_MAX} FOR UPDATE SKIP LOCKED);`
}
