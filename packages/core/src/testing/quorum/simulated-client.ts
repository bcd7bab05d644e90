import type { Grant } from '../../ports/leases.ts'
import type { QuorumLeaseStore } from '../../quorum/leases.ts'
import type { Random } from '../../random.ts'
import type { HoldEvent } from '../history.ts'
import type { SimulatedClock } from '../simulated-clock.ts'
import type { SimulatedMachine } from './simulated-machine.ts'

/** What a contender is made of. */
export interface ContenderSettings {
  readonly name: string
  readonly world: SimulatedClock
  readonly machine: SimulatedMachine
  readonly random: Random
  readonly store: QuorumLeaseStore
  readonly resource: string
  readonly ttlMs: number
  readonly endsAtMs: number
  readonly note: (text: string) => void
}

const WAIT_MS_MAX = 2_000
const REST_MS_MAX = 300

/** Takes a lease again and again, and writes down when it believed to hold it, in true time. */
export class SimulatedContender {
  readonly #settings: ContenderSettings
  readonly holds: HoldEvent[] = []

  constructor(settings: ContenderSettings) {
    this.#settings = settings
  }

  async run(): Promise<void> {
    const { random, ttlMs } = this.#settings
    while (this.#goesOn()) {
      await this.#pause(random.next() * REST_MS_MAX)
      const grant = await this.#take()
      if (grant !== undefined) await this.#hold(grant, random.next() * 2.5 * ttlMs)
    }
  }

  async #take(): Promise<Grant | undefined> {
    const { store, random, machine, resource, ttlMs } = this.#settings
    const requestId = store.newRequestId()
    const request = { resource, requestId, ttlMs, allowProvisional: false, meta: '{}' }
    const abort = new AbortController()
    try {
      if (random.next() < 0.3) {
        const outcome = await store.tryGrant(request)
        return outcome.kind === 'granted' ? outcome.grant : undefined
      }
      machine.setTimer(() => abort.abort(new Error('waited enough')), random.next() * WAIT_MS_MAX)
      return await store.grant(request, abort.signal)
    } catch {
      // Too few servers, or nothing left, or too long a wait.
      return undefined
    }
  }

  // Renews at a third of the TTL, as the engine does; one hold in ten is left to lapse.
  async #hold(grant: Grant, holdMs: number): Promise<void> {
    const { world, random, store, ttlMs } = this.#settings
    const acquiredAtMs = world.monotonicMs()
    const isLeft = random.next() < 0.1
    let { deadline } = grant
    let validUntilMs = this.#inTrueTime(deadline.remainingMs())
    this.#settings.note(`${this.#settings.name} is granted ${grant.token.value}`)
    const untilMs = acquiredAtMs + holdMs
    while (world.monotonicMs() < untilMs && deadline.remainingMs() > 0 && !isLeft) {
      await this.#pause(Math.min(ttlMs / 3, untilMs - world.monotonicMs()))
      if (world.monotonicMs() >= untilMs || deadline.remainingMs() <= 0) break
      const [outcome] = await store.renew([{ grant, ttlMs }]).catch(() => [])
      if (outcome?.kind === 'lost') break
      if (outcome === undefined || deadline.remainingMs() <= 0) continue
      deadline = outcome.deadline
      validUntilMs = this.#inTrueTime(deadline.remainingMs())
    }
    if (!isLeft) validUntilMs = Math.min(validUntilMs, world.monotonicMs())
    const { name: holder, resource } = this.#settings
    this.holds.push({ kind: 'hold', resource, holder, token: grant.token.value, acquiredAtMs, validUntilMs })
    this.#settings.note(`${holder} held ${grant.token.value} until ${validUntilMs.toFixed(1)}`)
    if (!isLeft) await store.release(grant).catch(() => undefined)
    else await this.#pause(Math.max(0, validUntilMs - world.monotonicMs()))
  }

  #inTrueTime(leftMs: number): number {
    return this.#settings.world.monotonicMs() + leftMs / this.#settings.machine.rate
  }

  #goesOn(): boolean {
    return this.#settings.world.monotonicMs() < this.#settings.endsAtMs
  }

  #pause(ms: number): Promise<void> {
    return new Promise(resolve => void this.#settings.machine.setTimer(resolve, ms))
  }
}
