import { createHash } from 'node:crypto'
import { inbox } from './lease-sql.ts'

/**
 * Who waits for a lease can be known to be gone: the session that listens to its inbox holds an advisory lock, shared, under a key of
 * that inbox. The server ends the session, and with it the lock, when it sees the connection closed; so whoever gets the lock alone
 * knows that nobody listens. A row says the key only once its session had the lock (`watch`), so one whose inbox is still being opened,
 * or is behind a pooler where sessions belong to nobody, is never taken for gone.
 *
 * A client that opens its inbox anew looks as one that is gone. It asks as soon as it hears again, and says which ticket it had.
 *
 * @see https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
 */
export function watchKeyOf(schema: string, channel: string): string {
  const hash = createHash('sha256').update(`inbox\0${schema}\0${channel}`)
  return String(hash.digest().readBigInt64BE())
}

/** What the session that listens asks for once. The lock is its own until it ends. */
export function holdStatement(watchKey: string): string {
  return `SELECT pg_advisory_lock_shared(${watchKey})`
}

/** Which waiters a step is about. */
export interface Queue {
  readonly waiters: string
  /** Of which resource `w` is. */
  readonly same: string
  /** Who makes the step, and so is there: a request, or null. */
  readonly asking: string
}

/** Reads `columns` of the first who is not gone into `into`, and removes those before it: all of one inbox at once. Sets `has_removed`. */
export function firstWaiter({ waiters, same, asking }: Queue, into: string, columns: readonly string[]): string {
  return `LOOP
      SELECT ${['ticket', 'request', 'watch', ...columns].map(column => `w.${column}`).join(', ')} INTO ${into}
        FROM ${waiters} w WHERE ${same} ORDER BY w.ticket LIMIT 1;
      EXIT WHEN ${into}.watch IS NULL OR NOT pg_try_advisory_xact_lock(${into}.watch) OR
        ${inbox(`${into}.request`)} IS NOT DISTINCT FROM ${inbox(asking)};
      DELETE FROM ${waiters} w WHERE ${same} AND w.watch = ${into}.watch;
      has_removed := true;
    END LOOP;`
}

/** Removes those who are gone among the waiters up to a ticket. Uses the record `gone`. */
export function removeGone({ waiters, same, asking }: Queue, lastTicket: string): string {
  return `FOR gone IN SELECT w.watch, min(w.request) AS request FROM ${waiters} w
        WHERE ${same} AND w.ticket <= ${lastTicket} AND w.watch IS NOT NULL GROUP BY w.watch LOOP
        IF pg_try_advisory_xact_lock(gone.watch) AND ${inbox('gone.request')} IS DISTINCT FROM ${inbox(asking)} THEN
          DELETE FROM ${waiters} w WHERE ${same} AND w.watch = gone.watch;
        END IF;
      END LOOP;`
}

/** Has the row of one who waits already say that its inbox is watched now. */
export function watchFromNow({ waiters, same }: Queue, seenWatch: string): string {
  return `IF p_watch IS NOT NULL AND ${seenWatch} IS NULL THEN
        PERFORM set_config('lock_timeout', p_patience_ms::text, true);
        UPDATE ${waiters} w SET watch = p_watch WHERE ${same} AND w.request = p_request;
      END IF;`
}

/** One who was taken for gone comes back to where it was. */
export function backInPlace({ waiters, same }: Queue): string {
  return `IF p_ticket < own_ticket AND NOT EXISTS (SELECT FROM ${waiters} w WHERE ${same} AND w.ticket = p_ticket) THEN
        UPDATE ${waiters} w SET ticket = p_ticket WHERE ${same} AND w.request = p_request;
        own_ticket := p_ticket;
      END IF;`
}
