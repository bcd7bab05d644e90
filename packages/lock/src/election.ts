import type { AcquireOptions, Announcement, Backend, Lease, Live } from '@holdfast/core'
import {
  ClosedError,
  LiveValue,
  WaitTimeoutError,
  acquireLease,
  checkRecipeName,
  decodeMeta,
  encodeMeta,
  inspectAs,
  onAbort,
  onLeaseEnd,
  orAborted,
  randomId,
  resumeLease,
  systemRandom,
  withinWait,
} from '@holdfast/core'
import type { Leader } from './election-leaders.ts'
import { Leaders, announceLeader, encodeLeader } from './election-leaders.ts'
import type { CampaignOptions, ElectionOptions, LeaderWork, RunOptions } from './election-options.ts'
import { checkCampaignOptions, checkElectionOptions, checkLeaderValue, checkRunOptions } from './election-options.ts'
import { leadAgain } from './election-run.ts'
import type { LockInfo } from './lockable.ts'
import { Turnstile } from './turnstile.ts'
import type { CallOptions } from './wait-options.ts'
import { checkCallOptions } from './wait-options.ts'
import { waitedFor, waitedInVain } from './waited-in-vain.ts'

const IN_TURN = 'campaigned for by another call to the same candidate'
const ONE_CANDIDATE =
  'Another candidate of it leads, or its mutex was taken: keep one `election` and campaign by that, which answers the term that it has.'

/**
 * One candidate of an election, and a view of who leads. Of all candidates one at most leads at a time, in order of their asking, and
 * each term has a greater token than all before it.
 *
 * What is promised to whom: the leader knows by its lease (`lease.signal` aborts by the deadline, whatever the network does; a fencing
 * guard holds beyond that). Observers are told a little later than it happens, and may be told of a leader that has just ceased to be
 * one: they converge on the latest, within 10 s even when every notice is lost.
 *
 * The leadership is the lease of the mutex of that name: who holds `locks.mutex(name)` keeps all candidates from leading.
 */
export interface Election extends AsyncDisposable {
  readonly name: string
  /** Of this candidate. */
  readonly id: string
  /**
   * Waits for its turn, and leads. Who leads already gets the lease that it has, after a `guard` was raised to its token; the other
   * options are for a new term. Calls of one candidate come one after the other.
   *
   * @throws {WaitTimeoutError} `HF_WAIT_TIMEOUT` when another led for all of `waitMs`
   * @throws {UnavailableError} `HF_UNAVAILABLE` when the backend did not answer in time
   * @throws {UnsupportedError} `HF_UNSUPPORTED` for `resume` where leases end with a session (ZooKeeper)
   * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for options that cannot work, or a `resume` of another election
   * @throws {ClosedError} `HF_CLOSED` once the election or the backend is closed
   */
  campaign(options?: CampaignOptions): Promise<Lease>
  /**
   * Campaigns and runs `work` while it leads, and again, after a pause that grows, whenever the leadership was lost or the store did
   * not answer. Settles as `work` does when that ended while it led; the leadership is given back first. Work that ends after it was
   * lost is taken to have ended by that, unless it throws something of its own.
   *
   * `resign` and `close` end the leadership under the work, and its signal aborts. After `resign` it campaigns again, behind those who
   * wait; after `close` it rejects with `HF_CLOSED` once the work has ended. An abort of `options.signal` leaves the work time to end
   * while it still leads.
   *
   * @throws whatever `campaign` does, but for what another try may mend
   */
  run<T>(work: LeaderWork<T>, options?: RunOptions): Promise<T>
  /** Hands the leadership straight to the next candidate, and ends the signal of work that `run` has under way. Does nothing for one who does not lead. Idempotent; never rejects. */
  resign(): Promise<void>
  /** Changes what observers are told with this candidate, now and in its next terms. */
  proclaim(value: string | undefined): void
  /** The lease of this candidate's own term; undefined while it does not lead. */
  readonly leadership: Live<Lease | undefined>
  /** Whether this candidate leads at this instant. No I/O. */
  readonly isLeader: boolean
  /**
   * Who leads, for everybody, also without being a candidate. Undefined while nobody is known to; the first look at it connects.
   * On ZooKeeper candidates of other libraries are not among them: see `inspect`.
   *
   * @throws {UnsupportedError} `HF_UNSUPPORTED` where the backend has no records
   */
  readonly leader: Live<Leader | undefined>
  /** Asks the store now. */
  findLeader(options?: CallOptions): Promise<Leader | undefined>
  /** Who leads now, and then each change; of several between two looks the last one. Ends when the signal aborts, or with `close`. */
  observe(signal?: AbortSignal): AsyncIterable<Leader | undefined>
  /** Who leads and who waits, as the lock has it: also candidates of other libraries. For people. */
  inspect(): Promise<LockInfo>
  /** Ends its campaigns, resigns, and observes no more. Idempotent. */
  close(): Promise<void>
}

/** What an election is made from. */
export interface ElectionParts {
  readonly backend: Backend
  readonly name: string
  readonly defaults: AcquireOptions
}

/** A candidate of the election of a name. */
export class NamedElection implements Election {
  readonly name: string
  readonly id: string
  readonly #backend: Backend
  readonly #defaults: AcquireOptions
  readonly #leadership = new LiveValue<Lease | undefined>(undefined)
  readonly #turnstile = new Turnstile()
  readonly #closing = new AbortController()
  #value: string | undefined
  #leaders: Leaders | undefined
  #term: { readonly leader: Leader; readonly announcement: Announcement | undefined } | undefined

  static {
    inspectAs(this.prototype, 'Election', election => ({
      name: election.name,
      id: election.id,
      isLeader: election.isLeader,
      leadership: election.#leadership.current,
      backend: election.#backend.kind,
    }))
  }

  /** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
  constructor({ backend, name, defaults }: ElectionParts, options: ElectionOptions = {}) {
    checkRecipeName('election', name)
    checkElectionOptions(options)
    const { id, value, ...own } = options
    this.name = name
    this.id = id ?? randomId(systemRandom)
    this.#backend = backend
    this.#defaults = optionsOver(defaults, own)
    this.#value = value
  }

  get leadership(): Live<Lease | undefined> {
    return this.#leadership
  }

  get isLeader(): boolean {
    return (this.#leadership.current?.remainingMs() ?? 0) > 0
  }

  get leader(): Live<Leader | undefined> {
    return this.#observed().live
  }

  async campaign(options: CampaignOptions = {}): Promise<Lease> {
    checkCampaignOptions(options)
    return await this.#campaign(options)
  }

  async run<T>(work: LeaderWork<T>, options: RunOptions = {}): Promise<T> {
    checkRunOptions(work, options)
    const { requeue = false, ...campaign } = options
    return await leadAgain(
      {
        clock: this.#backend.clock,
        campaign: resume => this.#campaign(resume ? campaign : { ...campaign, resume: undefined }),
        signal: options.signal,
      },
      work,
      requeue,
    )
  }

  async resign(): Promise<void> {
    const announcement = this.#term?.announcement
    await this.#leadership.current?.release()
    await announcement?.leave()
  }

  proclaim(value: string | undefined): void {
    checkLeaderValue(value)
    this.#value = value
    if (this.#term === undefined) return
    const { leader, announcement } = this.#term
    announcement?.update(encodeLeader({ ...leader, value }))
  }

  async findLeader(options: CallOptions = {}): Promise<Leader | undefined> {
    checkCallOptions('findLeader', options)
    return await this.#observed().find(options.signal)
  }

  observe(signal?: AbortSignal): AsyncIterable<Leader | undefined> {
    checkCallOptions('observe', signal === undefined ? {} : { signal })
    return this.#observed().observe(signal)
  }

  async inspect(): Promise<LockInfo> {
    return await this.#backend.leases.inspect(this.name)
  }

  async close(): Promise<void> {
    this.#closing.abort(new ClosedError('election'))
    this.#leaders?.close()
    await this.resign()
    this.#leadership.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #campaign(given: Omit<CampaignOptions, 'resume'> & { readonly resume?: string | undefined }): Promise<Lease> {
    const { value = this.#value, resume, ...own } = given
    const options = optionsOver(this.#defaults, own)
    const abort = new AbortController()
    const stops = [this.#closing.signal, options.signal].map(signal => onAbort(signal, reason => abort.abort(reason)))
    try {
      abort.signal.throwIfAborted()
      return await this.#inTurn({ ...options, signal: abort.signal }, value, resume)
    } finally {
      for (const stop of stops) stop()
    }
  }

  async #inTurn(options: AcquireOptions, value: string | undefined, handle: string | undefined): Promise<Lease> {
    const rest = await this.#afterOwn(options)
    try {
      const current = this.#leadership.current
      if (current !== undefined && this.isLeader) return await raisedFor(current, options)
      const { name: resource } = this
      const resumed = handle === undefined ? undefined : await resumeLease(this.#backend, { resource, handle }, options)
      const lease = resumed ?? (await this.#acquire(rest))
      try {
        this.#closing.signal.throwIfAborted()
        this.#lead(lease, options, value)
      } catch (error) {
        // Nobody has it who would give it back.
        void lease.release()
        throw error
      }
      return lease
    } finally {
      this.#turnstile.leave()
    }
  }

  async #acquire(options: AcquireOptions): Promise<Lease> {
    try {
      return await acquireLease(this.#backend, this.name, options)
    } catch (error) {
      throw error instanceof WaitTimeoutError ? waitedInVain(this.#backend, error, ONE_CANDIDATE) : error
    }
  }

  /** Other campaigns of this candidate come first; what they take of `waitMs` is gone. */
  async #afterOwn(options: AcquireOptions): Promise<AcquireOptions> {
    if (this.#turnstile.tryEnter()) return options
    const { waitMs } = options
    const { clock } = this.#backend
    const startMs = clock.monotonicMs()
    const enter = async (signal: AbortSignal | undefined): Promise<true> => {
      await this.#turnstile.enter(signal)
      return true
    }
    const isIn = waitMs === 0 ? undefined : await withinWait(clock, options, enter)
    if (isIn === undefined) throw waitedFor({ resource: this.name, waitMs: waitMs ?? 0 }, IN_TURN)
    if (waitMs === undefined) return options
    return { ...options, waitMs: Math.max(0, Math.floor(waitMs - (clock.monotonicMs() - startMs))) }
  }

  #lead(lease: Lease, { meta }: AcquireOptions, value: string | undefined): void {
    this.#value = value
    const leader: Leader = { id: this.id, token: lease.token, meta: decodeMeta(encodeMeta(meta)), value }
    const announcement = announceLeader(this.#backend, this.name, lease, leader)
    this.#term = { leader, announcement }
    this.#leadership.set(lease)
    // At once, when it is lost or being given back: whoever comes next is not to be confused with us.
    onLeaseEnd(lease, () => {
      void announcement?.leave()
      if (this.#leadership.current !== lease) return
      this.#term = undefined
      this.#leadership.set(undefined)
    })
  }

  #observed(): Leaders {
    if (this.#closing.signal.aborted) throw new ClosedError('election')
    this.#leaders ??= new Leaders(this.#backend, this.name)
    return this.#leaders
  }
}

// A guard that comes with a later campaign is to know of the term, too.
async function raisedFor(lease: Lease, { guard, signal }: AcquireOptions): Promise<Lease> {
  if (guard === undefined) return lease
  await orAborted(orAborted(Promise.resolve(guard.raise(lease)), lease.signal), signal)
  lease.assertHeld()
  return lease
}

// An option that is given as undefined counts as left out.
function optionsOver(defaults: AcquireOptions, options: AcquireOptions): AcquireOptions {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
  return { ...defaults, ...given }
}
