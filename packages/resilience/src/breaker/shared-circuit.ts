import type { Announcement, Clock, DirectoryWatch, Lease, Subscription } from '@holdfast/core'
import { announceRecord, tryAcquireLease, watchDirectory } from '@holdfast/core'
import { codeOf } from '../errors.ts'
import type { Circuit, CircuitMove } from './circuit.ts'
import type { SharedRule } from './options.ts'
import { encodePeer, isQuorum, Peers } from './peers.ts'
import type { PeerState } from './peers.ts'

// Longer than a store that is well takes for a lease, and short beside any open time.
const LEASE_PATIENCE_MS = 200
// How soon a lease that another has is asked for again. What becomes of his trial is heard sooner.
const LEASE_RETRY_MS = 1_000
const RECONCILE_MS_MAX = 60_000

/** How a breaker and its peers are doing. */
export interface SharedState {
  /** `alone` while the store is away, or somebody else has this instance's name: then the circuit decides by itself. */
  readonly link: 'linked' | 'alone'
  readonly instance: string
  /** Of the other instances, as they were seen last: all, and those that count as open. */
  readonly peers: number
  readonly peersOpen: number
}

/**
 * One circuit among those of a service's other instances. It says what it finds, hears what they find, and takes turns with them at
 * trial calls. Nothing of this is waited for: what is not known when a call comes counts for nothing, and without the store the
 * circuit decides alone.
 */
export class SharedCircuit {
  readonly #rule: SharedRule
  readonly #circuit: Circuit
  readonly #clock: Clock
  readonly #place: string
  readonly #instance: string
  readonly #peers = new Peers()
  readonly #announcement: Announcement
  readonly #watch: DirectoryWatch
  readonly #subscriptions: readonly Subscription[]
  #lease: Lease | undefined
  #hasLeases = true
  #askedAtMs: number | undefined
  #askAgainAtMs = -Infinity
  /** Whether the next trial needs no turn: a peer's went well, or the store does not say. */
  #needsNoTurn = false
  #isClosed = false

  constructor(rule: SharedRule, circuit: Circuit, clock: Clock) {
    this.#rule = rule
    this.#circuit = circuit
    this.#clock = clock
    this.#place = `breaker/${rule.name}`
    const { backend, ttlMs } = rule
    this.#instance = rule.instance ?? backend.records.newId()
    const value = encodePeer(this.#own())
    this.#announcement = announceRecord(backend, { directory: this.#place, id: this.#instance, value, ttlMs })
    this.#watch = watchDirectory(backend, this.#place, {
      ephemerals: true,
      reconcileMs: Math.min(ttlMs, RECONCILE_MS_MAX),
    })
    this.#subscriptions = [
      this.#watch.view.subscribe(() => this.#look(), { initial: true }),
      this.#announcement.state.subscribe(() => this.#look()),
    ]
  }

  get state(): SharedState {
    const { count: peers, open: peersOpen } = this.#peers
    return { link: this.#isLinked ? 'linked' : 'alone', instance: this.#instance, peers, peersOpen }
  }

  /** Whether trial calls may begin here. Asks for the turn, and answers without it where the store does not. */
  mayTry(nowMs: number): boolean {
    if (this.#needsNoTurn || !this.#hasLeases || !this.#isLinked) return true
    if (this.#lease !== undefined && this.#lease.remainingMs() > 0) return true
    if (this.#askedAtMs !== undefined) return nowMs - this.#askedAtMs > LEASE_PATIENCE_MS
    if (nowMs >= this.#askAgainAtMs) void this.#askForTurn(nowMs)
    return false
  }

  moved({ previous, next }: CircuitMove): void {
    if (this.#isClosed) return
    this.#needsNoTurn = false
    if (previous.kind === 'half-open') this.#giveTurnBack()
    const hasSeenBetter = previous.kind === 'half-open' || previous.kind === 'isolated'
    if (next.kind === 'closed' && hasSeenBetter) this.#peers.outdate()
    this.#announcement.update(encodePeer(this.#own()))
  }

  close(): void {
    this.#isClosed = true
    for (const subscription of this.#subscriptions) subscription.close()
    this.#watch.close()
    void this.#announcement.leave()
    this.#giveTurnBack()
  }

  // With a read that was answered and a record that stands: a store that is away is noticed within a third of the TTL.
  get #isLinked(): boolean {
    return (
      !this.#isClosed &&
      this.#watch.link.current.kind === 'answering' &&
      this.#announcement.state.current.kind === 'joined'
    )
  }

  #own(): PeerState {
    const { state, ownOpenings: opened } = this.#circuit
    // To pass on what others say would keep them all open for ever.
    if (state.kind === 'open' && state.cause === 'peers') return { state: 'closed', opened, openings: 0 }
    return { state: state.kind, opened, openings: 'openings' in state ? state.openings : 0 }
  }

  #look(): void {
    const view = this.#watch.view.current
    if (!this.#isLinked || view.kind !== 'present') return
    const nowMs = this.#clock.monotonicMs()
    const { succeeded, failedOpenings } = this.#peers.look(view.ephemerals, this.#instance)
    if (failedOpenings !== undefined) this.#circuit.postponeTrial(nowMs, failedOpenings)
    else if (succeeded && this.#circuit.state.kind === 'open') {
      this.#circuit.hastenTrial(nowMs)
      this.#needsNoTurn = true
    }
    if (isQuorum(this.#peers.open, this.#peers.count + 1, this.#rule.quorum)) this.#circuit.openByPeers(nowMs)
    else this.#circuit.closeByPeers()
  }

  async #askForTurn(nowMs: number): Promise<void> {
    const { backend, ttlMs } = this.#rule
    this.#askedAtMs = nowMs
    try {
      // Not renewed: an instance that nobody calls any more must not keep the turn.
      const options = { waitMs: 0, renew: false, ...(backend.leases.renewal === 'each' && { ttlMs }) }
      const lease = await tryAcquireLease(backend, `${this.#place}/probe`, options)
      if (lease === undefined) this.#askAgainAtMs = this.#clock.monotonicMs() + LEASE_RETRY_MS
      else if (this.#isClosed || this.#circuit.state.kind !== 'open') void lease.release()
      else this.#lease = lease
    } catch (error) {
      if (codeOf(error) === 'HF_UNSUPPORTED') this.#hasLeases = false
      this.#needsNoTurn = true
    }
    this.#askedAtMs = undefined
  }

  #giveTurnBack(): void {
    void this.#lease?.release()
    this.#lease = undefined
  }
}
