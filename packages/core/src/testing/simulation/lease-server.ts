import { UnavailableError } from '../../errors.ts'
import type { Random } from '../../random.ts'
import type { SimulatedServer } from './calls.ts'
import type { SimulatedFault } from './faults.ts'
import type { FreeLock, Holding, Leftover, Notice, TableHooks } from './lease-table.ts'
import { LeaseTable } from './lease-table.ts'
import { MachineClock } from './machine-clock.ts'
import type { Network } from './network.ts'
import type { Scheduler } from './scheduler.ts'

/** Grants are held back for so long after a restart; server clocks are set back by less. */
export const CLOCK_SKEW_MS_MAX = 1_000

/** What is written to disk is, every so often, where not all is. */
const SYNC_MS = 700
const COPIES_MAX = 4
const RATE_SPREAD = 0.008
const WALL_MS = Date.UTC(2030, 0, 1)

/** One who listens for what concerns a client. */
export interface InboxLink {
  readonly machine: string
  /** A notice has come. */
  readonly told: (notice: Notice) => void
  /** The connection broke. */
  readonly broke: () => void
}

/** What a server tells those who watch the simulation. */
export interface ServerWatch {
  readonly granted: (holding: Holding) => void
  /** A step found that a lock could have been granted, and since when, by true time. */
  readonly free: (found: FreeLock, sinceMs: number) => void
}

/** The rule for tokens that the stores for Redis and PostgreSQL have. */
export function tokenByTime(last: number, nowUs: number): number {
  return Math.max(last + 1, nowUs)
}

/** The server that keeps the leases. */
export class LeaseServer implements SimulatedServer {
  readonly name = 'store'
  readonly #scheduler: Scheduler
  readonly #network: Network
  readonly #random: Random
  readonly #clock: MachineClock
  readonly #inboxes = new Map<string, InboxLink>()
  readonly #hooks: TableHooks
  readonly #copies: LeaseTable[] = []
  #table: LeaseTable
  #isUp = true
  #heldBackUntilMs = 0

  constructor(parts: {
    readonly scheduler: Scheduler
    readonly network: Network
    readonly random: Random
    readonly watch: ServerWatch
    /** Whether it writes all to disk before it answers. */
    readonly keepsAll: boolean
    readonly tokenAfter: TableHooks['tokenAfter']
  }) {
    this.#scheduler = parts.scheduler
    this.#network = parts.network
    this.#random = parts.random
    const rate = 1 + (parts.random.next() - 0.5) * RATE_SPREAD
    this.#clock = new MachineClock(parts.scheduler, { rate, monotonicMs: 0, wallMs: WALL_MS }, run => run())
    this.#hooks = {
      publish: notice => this.#publish(notice),
      granted: holding => parts.watch.granted(holding),
      free: found => {
        const agoMs = (this.nowUs() - found.sinceUs) / 1_000 / rate
        parts.watch.free(found, this.#scheduler.nowMs - agoMs)
      },
      tokenAfter: parts.tokenAfter,
    }
    this.#table = new LeaseTable(this.#hooks)
    if (!parts.keepsAll) this.#sync()
  }

  get isUp(): boolean {
    return this.#isUp
  }

  nowUs(): number {
    return Math.floor(this.#clock.wallMs() * 1_000)
  }

  /**
   * The leases, for one step.
   *
   * @throws {UnavailableError} `HF_UNAVAILABLE` for a step that may grant, while grants are held back
   */
  table(step: { readonly mayGrant: boolean }): LeaseTable {
    if (step.mayGrant && this.#scheduler.nowMs < this.#heldBackUntilMs) {
      throw new UnavailableError('The store was started anew and holds its grants back.')
    }
    return this.#table
  }

  /** From now on the client hears what concerns it. */
  listen(link: InboxLink): void {
    this.#inboxes.set(link.machine, link)
  }

  /** A client's connection was closed. */
  forget(machine: string): void {
    this.#inboxes.delete(machine)
  }

  leftovers(): readonly Leftover[] {
    return this.#table.leftovers(this.nowUs())
  }

  jumpClock(ms: number): void {
    this.#clock.jumpWall(ms)
  }

  /** It goes away for `downMs`, and comes back with what it still has. Answers when grants are held back no more, by true time. */
  crash(how: SimulatedFault, downMs: number): number {
    this.#isUp = false
    const links = [...this.#inboxes.values()]
    this.#inboxes.clear()
    for (const { broke } of links) this.#scheduler.after(this.#random.next() * 50, broke)
    this.#heldBackUntilMs = this.#scheduler.nowMs + downMs + CLOCK_SKEW_MS_MAX
    this.#scheduler.after(downMs, () => {
      this.#table = this.#tableAfter(how)
      this.#isUp = true
    })
    return this.#heldBackUntilMs
  }

  #tableAfter(how: SimulatedFault): LeaseTable {
    if (how === 'wipe') return new LeaseTable(this.#hooks)
    const copy = how === 'lose-tail' ? this.#copies.at(-1) : this.#copies[0]
    return how === 'crash' || copy === undefined ? this.#table : copy.copy()
  }

  #sync(): void {
    if (this.#isUp) this.#copies.push(this.#table.copy())
    if (this.#copies.length > COPIES_MAX) this.#copies.shift()
    this.#scheduler.after(SYNC_MS * (0.5 + this.#random.next()), () => this.#sync())
  }

  // The count of those who listen is all that a publisher learns.
  #publish(notice: Notice): boolean {
    const link = this.#inboxes.get(machineOf(notice.to))
    if (link === undefined) return false
    this.#network.send(this.name, link.machine, () => link.told(notice), 'inbox')
    return true
  }
}

/** Which client's a request is: ids are `machine#count`. */
function machineOf(requestId: string): string {
  return requestId.slice(0, requestId.indexOf('#'))
}
