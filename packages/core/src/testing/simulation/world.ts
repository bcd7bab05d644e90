import { createHash } from 'node:crypto'
import type { LeaseLostReason } from '../../errors.ts'
import { HoldfastError } from '../../errors.ts'
import { keeperOf } from '../../lease/keeper.ts'
import type { Random } from '../../random.ts'
import { seededRandom } from '../../random.ts'
import { Calls } from './calls.ts'
import type { SimulationViolation } from './checks.ts'
import { checkEvents } from './checks.ts'
import type { SimulationEvent } from './events.ts'
import { describeEvents } from './events.ts'
import type { SimulatedFault } from './faults.ts'
import { forgets } from './faults.ts'
import { Incidents } from './incidents.ts'
import type { Victim } from './injector.ts'
import { Injector, weatherOf } from './injector.ts'
import { LeaseServer, tokenByTime } from './lease-server.ts'
import type { Interposed, SimulatedBackend } from './lease-store.ts'
import { simulatedBackend } from './lease-store.ts'
import type { FreeLock, Holding, TableHooks } from './lease-table.ts'
import { Machine } from './machine.ts'
import { Network } from './network.ts'
import type { SimulatedProcess } from './process.ts'
import { Recorder } from './recorder.ts'
import { RegisterClient, Storage } from './register.ts'
import type { SimulationReport } from './report.ts'
import { Requests } from './requests.ts'
import { Scheduler } from './scheduler.ts'

/** What a world is made of. */
export interface WorldSettings {
  readonly seed: number
  readonly processes: number
  readonly faults: readonly SimulatedFault[]
  readonly faultsForMs: number
  readonly settleMs: number
  readonly run: (process: SimulatedProcess) => Promise<void>
  /** For tests: what stands between clients and their link. @default nothing */
  readonly interposed?: Interposed
  /** For tests: another rule for tokens. @default tokenByTime */
  readonly tokenAfter?: TableHooks['tokenAfter']
}

interface Process extends Victim, SimulatedBackend {
  state: 'running' | 'done' | 'closed'
}

/** Clocks run by up to so much slower or faster than the truth: two of them by less than the 1 % that leases reckon with. */
const RATE_SPREAD = 0.008
const WALL_MS = Date.UTC(2030, 0, 1)
/** Where a dead holder, a dead head of the queue and a hop or two leave no more than this between two holders. */
const IDLE_MS = 1_100
const HOP_MS = 20
const CLOSE_MS = 5_000

/** One simulated world, to be played once. */
export class SimulatedWorld {
  readonly #settings: WorldSettings
  readonly #random: Random
  readonly #scheduler = new Scheduler()
  readonly #incidents: Incidents
  readonly #recorder: Recorder
  readonly #requests: Requests
  readonly #network: Network
  readonly #server: LeaseServer
  readonly #storage: Storage
  readonly #faults: ReadonlySet<SimulatedFault>
  readonly #processes: Process[] = []
  readonly #violations: SimulationViolation[] = []
  readonly #lost = new Map<LeaseLostReason, number>()
  readonly #errors = new Map<string, number>()
  #restarting = 0
  #grants = 0
  #writes = 0

  constructor(settings: WorldSettings) {
    this.#settings = settings
    this.#random = seededRandom(settings.seed)
    // Runs in which little goes wrong, but much of it, find what runs in which all does cannot (swarm testing, Groce et al. 2012).
    this.#faults = new Set(settings.faults.filter(() => this.#random.next() < 0.5))
    this.#incidents = new Incidents(this.#scheduler)
    this.#recorder = new Recorder(this.#scheduler)
    this.#requests = new Requests(this.#scheduler)
    const parts = { scheduler: this.#scheduler, random: this.#random, incidents: this.#incidents }
    this.#network = new Network({ ...parts, weather: weatherOf(this.#faults, this.#random) })
    this.#storage = new Storage(this.#scheduler, this.#recorder)
    this.#server = new LeaseServer({
      ...parts,
      network: this.#network,
      watch: {
        granted: holding => this.#granted(holding),
        free: (found, sinceMs) => this.#findIdle(found, sinceMs),
      },
      keepsAll: !forgets(this.#faults),
      tokenAfter: settings.tokenAfter ?? tokenByTime,
    })
  }

  async play(check?: (events: readonly SimulationEvent[]) => readonly string[]): Promise<SimulationReport> {
    const { faultsForMs, settleMs, processes } = this.#settings
    for (let index = 0; index < processes; index += 1) {
      this.#scheduler.after(this.#random.next() * 100, () => this.#start(index, 1))
    }
    new Injector({
      scheduler: this.#scheduler,
      random: this.#random,
      network: this.#network,
      server: this.#server,
      incidents: this.#incidents,
      recorder: this.#recorder,
      victims: () => this.#processes.filter(({ state }) => state === 'running'),
      faults: this.#faults,
      untilMs: faultsForMs,
    }).start()
    // All are started by then, and none is done before.
    await this.#scheduler.run(100)
    await this.#runUntil(faultsForMs + settleMs, () => this.#isDone())
    await this.#runUntil(Math.max(this.#incidents.calmSinceMs, this.#scheduler.nowMs) + settleMs, () => this.#isDone())
    this.#findStuck()
    await this.#close()
    this.#findLeftovers()
    return this.#report(check)
  }

  async #runUntil(untilMs: number, isDone: () => boolean): Promise<void> {
    if (!isDone()) await this.#scheduler.run(untilMs, isDone)
  }

  #isDone(): boolean {
    return (
      this.#restarting === 0 && this.#processes.every(({ state, machine }) => state !== 'running' || machine.isDead)
    )
  }

  #start(index: number, life: number): void {
    const name = life === 1 ? `p${index + 1}` : `p${index + 1}.${life}`
    const random = seededRandom(Math.floor(this.#random.next() * 4_294_967_296))
    const machine = new Machine({
      name,
      scheduler: this.#scheduler,
      random,
      clock: {
        rate: 1 + (random.next() - 0.5) * RATE_SPREAD,
        monotonicMs: random.next() * 1_000_000,
        wallMs: WALL_MS + (random.next() - 0.5) * 10_000,
      },
    })
    const client = simulatedBackend({
      machine,
      network: this.#network,
      server: this.#server,
      recorder: this.#recorder,
      requests: this.#requests,
      guarantee: forgets(this.#settings.faults) ? 'advisory' : 'lease',
      interposed: this.#settings.interposed,
    })
    keeperOf(client.backend).events.on('lost', ({ reason }) => count(this.#lost, reason))
    const process: Process = {
      ...client,
      machine,
      state: 'running',
      reconnect: () => client.store.reconnect(),
      kill: restartMs => {
        this.#recorder.killed(machine)
        this.#requests.killed(name)
        machine.kill()
        this.#restarting += 1
        this.#scheduler.after(restartMs, () => {
          this.#restarting -= 1
          this.#start(index, life + 1)
        })
      },
    }
    this.#processes.push(process)
    const view = this.#viewOf(process, { index, random })
    this.#settings.run(view).then(
      () => (process.state = 'done'),
      (error: unknown) => {
        process.state = 'done'
        this.#failed(name, error)
      },
    )
  }

  #viewOf(
    { machine, backend }: Process,
    { index, random }: { readonly index: number; readonly random: Random },
  ): SimulatedProcess {
    const { name, clock } = machine
    const calls = new Calls(this.#network, machine)
    return {
      name,
      index,
      backend,
      clock,
      random,
      register: register =>
        new RegisterClient({
          name: register,
          storage: this.#storage,
          machine,
          calls,
          nextId: () => `${name}!${(this.#writes += 1)}`,
          acted: ({ resource, token }) => this.#acted(machine, resource, token.value),
        }),
      sleep: ms => new Promise<void>(resolve => clock.setTimer(resolve, ms)),
      record: what => this.#recorder.add({ kind: 'note', atMs: this.#scheduler.nowMs, by: name, what }),
    }
  }

  #acted(machine: Machine, resource: string, token: bigint): void {
    if (this.#recorder.isValid(machine, resource, token) !== false) return
    const why = `At ${this.#now()} ms ${machine.name} could act on its lease of "${resource}" after its deadline.`
    this.#violations.push({ kind: 'late-act', why })
  }

  #failed(name: string, error: unknown): void {
    if (error instanceof HoldfastError) return count(this.#errors, error.code)
    this.#violations.push({ kind: 'failed', why: `${name} failed: ${String(error)}.` })
  }

  #granted({ resource, id, mode, token, slot }: Holding): void {
    const atMs = this.#scheduler.nowMs
    this.#grants += 1
    const kind = mode?.kind ?? 'exclusive'
    const limit = mode?.kind === 'permit' ? mode.limit : undefined
    const grant = { kind: 'grant', atMs, resource, to: id, mode: kind, limit, slot, token: BigInt(token) } as const
    this.#recorder.add(grant)
  }

  #findIdle({ resource, waiting }: FreeLock, freeSinceMs: number): void {
    const sinceMs = Math.max(freeSinceMs, this.#incidents.calmSinceMs)
    for (const id of waiting) {
      const idleMs = this.#requests.waitedMs(id, sinceMs)
      if (idleMs <= this.#idleMsMax()) continue
      const why = `At ${this.#now()} ms "${resource}" was free, and had been for ${idleMs.toFixed(0)} ms while ${id} waited.`
      this.#violations.push({ kind: 'idle', why })
      return
    }
  }

  // Who was not told asks by its own timer, which is that of the longest lease that it may wait for; timers of machines that slept
  // are as late as that.
  #idleMsMax(): number {
    const { ttlMsMax } = this.#requests
    const driftMs = ttlMsMax * 0.02
    const misledMs = this.#incidents.hasMisledWaiters ? ttlMsMax + IDLE_MS : 0
    return IDLE_MS + HOP_MS * 10 + driftMs + misledMs + this.#incidents.sleptMs
  }

  #findStuck(): void {
    for (const { machine, state } of this.#processes) {
      if (state !== 'running' || machine.isDead) continue
      const why = `${machine.name} is not done ${this.#settings.settleMs} ms after the last fault.`
      this.#violations.push({ kind: 'stuck', why })
    }
  }

  // As a service does at its end: what it holds is given back.
  async #close(): Promise<void> {
    const open = this.#processes.filter(({ machine }) => !machine.isDead)
    for (const process of open) {
      process.machine.resume()
      void process.backend.close().then(() => (process.state = 'closed'))
    }
    await this.#runUntil(this.#scheduler.nowMs + CLOSE_MS, () => open.every(({ state }) => state === 'closed'))
    // What is on its way arrives, and what keeps others out for a while on purpose ends.
    const restsUntilMs = Math.max(this.#scheduler.nowMs, this.#requests.restsUntilMs)
    await this.#scheduler.run(restsUntilMs + HOP_MS * 2)
  }

  // What was asked for before the last fault was over may stay for a TTL: a store that forgets can forget that it was taken back.
  #findLeftovers(): void {
    for (const { what, id } of this.#server.leftovers()) {
      if (this.#requests.askedAtMs(id) <= this.#incidents.calmSinceMs) continue
      this.#violations.push({ kind: 'leftover', why: `At the end ${what}.` })
    }
    for (const { machine } of this.#processes) machine.kill()
  }

  #report(check: ((events: readonly SimulationEvent[]) => readonly string[]) | undefined): SimulationReport {
    const events = this.#recorder.finish()
    const guarantee = forgets(this.#faults) ? 'advisory' : 'lease'
    const checked = (check?.(events) ?? []).map(why => ({ kind: 'check', why }) as const)
    return {
      seed: this.#settings.seed,
      violations: [...this.#violations, ...checkEvents(events, guarantee), ...checked],
      events,
      hash: createHash('sha256').update(describeEvents(events)).digest('hex').slice(0, 16),
      guarantee,
      grants: this.#grants,
      lost: Object.fromEntries(this.#lost),
      incidents: this.#incidents.counts(),
      errors: Object.fromEntries(this.#errors),
      durationMs: this.#scheduler.nowMs,
      messages: this.#network.sent,
    }
  }

  #now(): string {
    return this.#scheduler.nowMs.toFixed(3)
  }
}

function count<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
