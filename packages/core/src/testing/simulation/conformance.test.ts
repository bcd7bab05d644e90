import { describe, expect, it } from 'vitest'
import type { Backend } from '../../backend.ts'
import { seededRandom } from '../../random.ts'
import { leaseConformance } from '../conformance/leases.ts'
import { Incidents } from './incidents.ts'
import { LeaseServer, tokenByTime } from './lease-server.ts'
import { simulatedBackend } from './lease-store.ts'
import { Machine } from './machine.ts'
import { Network } from './network.ts'
import { Recorder } from './recorder.ts'
import { Requests } from './requests.ts'
import { Scheduler } from './scheduler.ts'

/** A hop and back; what is not asked to pass takes no more than that. */
const HOP_MS = 0.2
const WEATHER = { delayMsMax: HOP_MS, dropRatio: 0, duplicateRatio: 0, reorderRatio: 0, lateRatio: 0, lateMsMax: 0 }

/** One store, whose messages travel by themselves; all other time passes only when a case says so. */
class Place {
  readonly #scheduler = new Scheduler()
  readonly #random = seededRandom(1)
  readonly #network: Network
  readonly #server: LeaseServer
  #clients = 0
  #resources = 0
  #advancing: Promise<void> = Promise.resolve()

  constructor() {
    const parts = { scheduler: this.#scheduler, random: this.#random, incidents: new Incidents(this.#scheduler) }
    this.#network = new Network({ ...parts, weather: WEATHER })
    const watch = { granted: (): void => {}, free: (): void => {} }
    this.#server = new LeaseServer({
      ...parts,
      network: this.#network,
      watch,
      keepsAll: true,
      tokenAfter: tokenByTime,
    })
  }

  open(): Backend {
    const { nowMs } = this.#scheduler
    const clock = { rate: 1, monotonicMs: nowMs, wallMs: Date.UTC(2030, 0, 1) + nowMs }
    const name = `p${(this.#clients += 1)}`
    const machine = new Machine({ name, scheduler: this.#scheduler, random: this.#random, clock })
    const [recorder, requests] = [new Recorder(this.#scheduler), new Requests(this.#scheduler)]
    const parts = { machine, network: this.#network, server: this.#server, recorder, requests }
    return simulatedBackend({ ...parts, guarantee: 'lease', interposed: undefined }).backend
  }

  resource(): string {
    return `r-${(this.#resources += 1)}`
  }

  advance(ms: number): Promise<void> {
    this.#advancing = this.#advancing.then(() => this.#scheduler.run(this.#scheduler.nowMs + ms))
    return this.#advancing
  }

  leftovers(resource: string): readonly string[] {
    return this.#server
      .leftovers()
      .map(({ what }) => what)
      .filter(what => what.split(' ').includes(resource))
  }
}

describe('The simulated store', () => {
  const place = new Place()
  const isOver = { now: false }
  const travel = (): void => {
    if (isOver.now) return
    void place.advance(HOP_MS).then(() => setImmediate(travel))
  }
  const why = 'simulations do that'

  const cases = leaseConformance({
    openBackend: async () => place.open(),
    resource: () => place.resource(),
    advance: ms => place.advance(ms),
    stall: () => {},
    ttlMs: 5_000,
    slackMs: 1_000,
    ordering: 'fifo',
    modes: 'all',
    slots: true,
    leftovers: async resource => place.leftovers(resource),
    loseData: { kind: 'unsupported', why },
    silence: { kind: 'unsupported', why },
    requests: { kind: 'unsupported', why },
    // No time passes here while code runs, so an event loop cannot hang: a machine of a simulation that stands still does it.
  }).filter(({ name }) => !/stall of the event loop|The signal alone fires/.test(name))

  it('has cases to pass', () => expect(cases.length).toBeGreaterThan(30))

  it.each(cases)('$promise: $name', async ({ run }) => {
    isOver.now = false
    travel()
    try {
      await expect(run()).resolves.toBeUndefined()
    } finally {
      isOver.now = true
    }
  })
})
