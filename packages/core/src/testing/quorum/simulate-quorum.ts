import { BackendLifecycle } from '../../backend.ts'
import { TakeBacks } from '../../lease/take-backs.ts'
import { QuorumLeaseStore } from '../../quorum/leases.ts'
import type { Random } from '../../random.ts'
import { seededRandom } from '../../random.ts'
import type { HoldEvent, Violation } from '../history.ts'
import { checkHistory } from '../history.ts'
import { SimulatedClock } from '../simulated-clock.ts'
import type { ServerData } from './server-model.ts'
import { ServerModel } from './server-model.ts'
import { SimulatedContender } from './simulated-client.ts'
import { SimulatedLink } from './simulated-link.ts'
import { SimulatedMachine } from './simulated-machine.ts'

/** What happens to a quorum in virtual time. Every option but the seed may be left out. */
export interface QuorumSimulationOptions {
  /** The same one gives the same history. */
  readonly seed: number
  /** Servers: 3, 5 or 7. @default 3 */
  readonly servers?: number
  /** Clients that contend for one name, one contender each. @default 4 */
  readonly clients?: number
  /** In true time, milliseconds. @default 20000 */
  readonly durationMs?: number
  /** Of each lease, which is the quorum's `maxTtlMs` as well. @default 1000 */
  readonly ttlMs?: number
  /** By how much the clocks of two servers differ at the most, in milliseconds. @default 900 */
  readonly clockSkewMs?: number
  /** For how long a server that may have forgotten something votes for nobody, in milliseconds. @default 1000 */
  readonly quarantineMs?: number
}

/** What came of it. */
export interface QuorumSimulationReport {
  readonly seed: number
  /** What was believed to be held when, in true time. */
  readonly holds: readonly HoldEvent[]
  /** What must not be: empty when all is well. */
  readonly violations: readonly Violation[]
  /** How often a server crashed, was emptied, or came back with old data. */
  readonly faults: number
  /** All that happened, line by line. */
  readonly log: readonly string[]
}

const DEFAULTS: Required<Omit<QuorumSimulationOptions, 'seed'>> = Object.freeze({
  servers: 3,
  clients: 4,
  durationMs: 20_000,
  ttlMs: 1_000,
  clockSkewMs: 900,
  quarantineMs: 1_000,
})

const COMMAND_TIMEOUT_MS = 300
const RESOURCE = 'stock'
/** Client and server clocks run at speeds that differ by less than the 1 % that a deadline allows for. */
const RATE_SPREAD = 0.004
const WANDER_MS = 15
const WANDER_PERIOD_MS = 30_000

/**
 * Runs the client of a quorum, as it is, against models of servers, links and machines in virtual time: servers crash, are emptied and
 * come back with old snapshots (a minority at a time), messages are delayed, lost, overtaken and doubled, clients stand still. What
 * clients believed is checked: no two valid leases at once (L1), and tokens that grow from grant to grant (L2).
 *
 * Both hold as long as `clockSkewMs` is less than `quarantineMs`, and that is no less than `ttlMs`.
 */
export async function simulateQuorum(options: QuorumSimulationOptions): Promise<QuorumSimulationReport> {
  const world = new QuorumWorld({ ...DEFAULTS, ...options })
  return await world.run()
}

type Settings = Required<QuorumSimulationOptions>

class QuorumWorld {
  readonly #settings: Settings
  readonly #clock = new SimulatedClock({ monotonicMs: 0 })
  readonly #random: Random
  readonly #servers: readonly ServerModel[]
  readonly #machines: readonly SimulatedMachine[]
  readonly #contenders: readonly SimulatedContender[]
  readonly #snapshots: ServerData[]
  readonly #down = new Set<number>()
  readonly #cut = new Set<string>()
  readonly #log: string[] = []
  #faults = 0

  constructor(settings: Settings) {
    this.#settings = settings
    this.#random = seededRandom(settings.seed)
    this.#servers = Array.from({ length: settings.servers }, (_, index) => this.#server(index))
    this.#snapshots = this.#servers.map(server => server.snapshot())
    const rate = (): number => 1 + (this.#random.next() * 2 - 1) * RATE_SPREAD
    this.#machines = Array.from({ length: settings.clients }, () => new SimulatedMachine(this.#clock, rate()))
    this.#contenders = this.#machines.map((machine, index) => this.#contender(machine, index))
  }

  async run(): Promise<QuorumSimulationReport> {
    const { durationMs, seed } = this.#settings
    for (const server of this.#servers) server.admit()
    this.#nextFault()
    for (const contender of this.#contenders) void contender.run()
    // Whatever is still held or waited for then comes to its end.
    await this.#clock.advance(durationMs + 10_000)
    const holds = this.#contenders.flatMap(contender => contender.holds)
    return { seed, holds, violations: checkHistory(holds), faults: this.#faults, log: this.#log }
  }

  #server(index: number): ServerModel {
    const { clockSkewMs, quarantineMs } = this.#settings
    const start = 1e12
    // The first two are as far apart as they may be.
    const place = index < 2 ? index : this.#random.next()
    const offsetMs = place * Math.max(0, clockSkewMs - 2 * WANDER_MS)
    const phase = this.#random.next() * 2 * Math.PI
    const nowUs = (): number => {
      const trueMs = this.#clock.monotonicMs()
      const wanderMs = WANDER_MS * Math.sin((trueMs / WANDER_PERIOD_MS) * 2 * Math.PI + phase)
      return Math.floor((start + trueMs + offsetMs + wanderMs) * 1_000)
    }
    return new ServerModel({ name: `server ${index}`, nowUs, quarantineMs, keepMs: quarantineMs })
  }

  #contender(machine: SimulatedMachine, index: number): SimulatedContender {
    const { ttlMs, durationMs } = this.#settings
    const name = `client ${index}`
    const random = seededRandom(Math.floor(this.#random.next() * 2 ** 32))
    const nodes = this.#servers.map(
      (server, at) =>
        new SimulatedLink({
          world: this.#clock,
          random: this.#random,
          machine,
          server,
          isOpen: () => !this.#down.has(at) && !this.#cut.has(`${index}-${at}`),
          commandTimeoutMs: COMMAND_TIMEOUT_MS,
        }),
    )
    const lifecycle = new BackendLifecycle('simulated quorum', machine)
    const release = (node: SimulatedLink): TakeBacks =>
      new TakeBacks({
        clock: machine,
        release: request => node.withdraw(request),
        patienceMsOf: () => ttlMs + COMMAND_TIMEOUT_MS,
        isClosed: () => false,
      })
    let requests = 0
    const store = new QuorumLeaseStore({
      clock: machine,
      random,
      lifecycle,
      nodes,
      takeBacks: nodes.map(release),
      isFenced: true,
      validityRatioMin: 0.2,
      ids: { next: () => `${name}.${(requests += 1)}` },
      checkNodes: () => {},
      guarantee: () => 'lease',
      maxTtlMs: ttlMs,
      retryMsMax: 400,
    })
    const note = (text: string): void => this.#note(text)
    return new SimulatedContender({
      name,
      world: this.#clock,
      machine,
      random,
      store,
      resource: RESOURCE,
      ttlMs,
      endsAtMs: durationMs,
      note,
    })
  }

  #nextFault(): void {
    this.#clock.setTimer(() => {
      if (this.#clock.monotonicMs() > this.#settings.durationMs) return
      this.#fault()
      this.#nextFault()
    }, this.#random.next() * 600)
  }

  #fault(): void {
    const index = Math.floor(this.#random.next() * this.#servers.length)
    const server = this.#servers[index] as ServerModel
    const chance = this.#random.next()
    if (chance < 0.2) this.#stand()
    else if (chance < 0.35) this.#cutLink(index)
    else if (chance < 0.55) this.#snapshots[index] = server.snapshot()
    else if (this.#down.size < Math.floor((this.#servers.length - 1) / 2)) this.#lose(index, server)
  }

  #stand(): void {
    const index = Math.floor(this.#random.next() * this.#machines.length)
    const ms = this.#random.next() ** 2 * 2_500
    this.#machines[index]?.stand(ms)
    this.#note(`client ${index} stands still for ${ms.toFixed(1)} ms`)
  }

  #cutLink(server: number): void {
    const client = Math.floor(this.#random.next() * this.#machines.length)
    const link = `${client}-${server}`
    this.#cut.add(link)
    this.#note(`client ${client} and server ${server} are cut apart`)
    this.#clock.setTimer(() => this.#cut.delete(link), this.#random.next() * 1_500)
  }

  #lose(index: number, server: ServerModel): void {
    this.#faults += 1
    const chance = this.#random.next()
    if (chance < 0.3) {
      this.#note(`${server.name} is emptied`)
      return server.wipe()
    }
    const before = server.snapshot()
    this.#down.add(index)
    this.#note(`${server.name} crashes`)
    const saved = chance < 0.5 ? before : this.#snapshots[index]
    const back = chance < 0.75 ? saved : undefined
    this.#clock.setTimer(
      () => {
        server.restart(back)
        this.#down.delete(index)
        this.#note(`${server.name} is back with ${this.#nameOf(back, before)}`)
      },
      this.#random.next() ** 2 * 1_000,
    )
  }

  #nameOf(back: ServerData | undefined, before: ServerData): string {
    if (back === undefined) return 'nothing'
    return back === before ? 'all its data' : 'an old snapshot'
  }

  #note(text: string): void {
    this.#log.push(`${this.#clock.monotonicMs().toFixed(1)} ${text}`)
  }
}
