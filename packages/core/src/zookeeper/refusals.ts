import type { Clock } from '../clock.ts'
import type { ServerAddress } from './connect-string.ts'

/** How an attempt to connect ended: `refused` when the server closed the connection on our handshake. */
export type AttemptEnd = 'refused' | 'unreachable'

interface Streak {
  readonly sinceMs: number
  readonly count: number
}

// A stall of our process makes time pass between two attempts, without any server having had its say.
const REFUSALS_MIN = 3

/**
 * Knows when no server will ever take a session up again: it must be over, for there was no connection for its whole timeout, and
 * from then on every server has refused it for a second one.
 *
 * A server closes the connection of a client that has seen more transactions than it has itself, and says nothing. When all do so
 * for good, the store has lost data. A server that has no quorum, is in read-only mode, still loads its data or has too many
 * connections closes them as well. The second timeout is for these: an election or a start takes about as long as a session is
 * meant to survive. Where they take longer, to give up what was seen does no harm:
 *
 * - The leases of the session are lost already, by its deadline.
 * - The next session is made by a transaction of the quorum, and the server that serves it has applied all transactions before that
 *   one. So what is read in it is older than what was read before only if the store itself lost data, or if the ensemble has
 *   local sessions, which no quorum sees.
 * - Locks do not need even that: a contender lists behind its own create, in one session, which carries the create's transaction
 *   from connection to connection. So what it lists is never older than its own node.
 *
 * A server that cannot be reached or is silent may have everything we saw. While there is one, nothing is given up.
 */
export class Refusals {
  readonly #clock: Clock
  readonly #servers: readonly ServerAddress[]
  readonly #streaks = new Map<ServerAddress, Streak>()
  #disconnectedMs: number

  constructor(clock: Clock, servers: readonly ServerAddress[]) {
    this.#clock = clock
    this.#servers = servers
    this.#disconnectedMs = clock.monotonicMs()
  }

  /** There was a connection until now. */
  disconnected(): void {
    this.#disconnectedMs = this.#clock.monotonicMs()
    this.#streaks.clear()
  }

  /** An attempt has come to nothing. */
  failed(server: ServerAddress, end: AttemptEnd): void {
    if (end === 'unreachable') {
      this.#streaks.delete(server)
      return
    }
    const { sinceMs, count } = this.#streaks.get(server) ?? { sinceMs: this.#clock.monotonicMs(), count: 0 }
    this.#streaks.set(server, { sinceMs, count: count + 1 })
  }

  areFinal(sessionTimeoutMs: number): boolean {
    const overMs = this.#disconnectedMs + sessionTimeoutMs
    const nowMs = this.#clock.monotonicMs()
    return this.#servers.every(server => {
      const streak = this.#streaks.get(server)
      if (streak === undefined || streak.count < REFUSALS_MIN) return false
      return nowMs - Math.max(overMs, streak.sinceMs) >= sessionTimeoutMs
    })
  }
}
