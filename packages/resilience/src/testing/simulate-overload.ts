import type { Clock, Random } from '@holdfast/core'
import { checkGivenKeys, InvalidArgumentError, seededRandom } from '@holdfast/core'
import type { CallOptions } from '../call.ts'
import { checkFunction, checkInteger } from '../checks.ts'
import { isRejection } from '../errors.ts'
import type { AnyPolicy } from '../pipeline.ts'
import { clockOfPolicy } from '../pipeline.ts'
import type { Policy } from '../policy.ts'
import type { Arrivals } from './arrivals.ts'
import { poisson } from './arrivals.ts'
import { checkFinite } from './check-finite.ts'
import type { CapacityPhase } from './fifo-server.ts'
import { FifoServer } from './fifo-server.ts'
import type { ServiceTimes } from './service-times.ts'
import type { Latencies, TimelineSlice } from './tally.ts'
import { Tally } from './tally.ts'
import { VirtualClock } from './virtual-clock.ts'

/** What policies in a simulation are made with: give both to each of them. */
export interface SimulatedWorld {
  readonly clock: Clock
  readonly random: Random
}

/** What `simulateOverload` is given. */
export interface OverloadOptions {
  /** How many calls the server works on at once; more of them wait inside it, first come first served. From 1 to 10,000. */
  readonly servers: number
  readonly service: ServiceTimes
  /** How many calls come, as a multiple of what the server can do: `3` is three times too many (Poisson). Or give `arrivals`. */
  readonly load?: number
  readonly arrivals?: Arrivals
  /** What the server becomes later on. @default it stays as it is */
  readonly capacity?: readonly CapacityPhase[]
  /** Makes what stands before the server. @default nothing */
  readonly policy?: (world: SimulatedWorld) => AnyPolicy
  /** Makes what stands in the client, around each call: timeouts, retries. @default nothing */
  readonly client?: (world: SimulatedWorld) => AnyPolicy
  /** What `policy` is told of each call: a priority, a key. @default nothing */
  readonly callOptions?: (random: Random) => CallOptions
  /** An answer that comes later is of no use. @default 12 times the mean service time */
  readonly deadlineMs?: number
  /** How long calls come, in milliseconds; what is under way then is not counted. @default 40_000 */
  readonly durationMs?: number
  /** The width of a slice of `timeline`, up to `durationMs`. @default 500, or `durationMs` where that is less */
  readonly sliceMs?: number
  /** The same seed gives the same report. @default 1 */
  readonly seed?: number
}

/** What came out of a simulation. */
export interface OverloadReport {
  /** Calls that came. */
  readonly offered: number
  /** Of them: answered within the deadline, too late, refused, ended by an error. The rest was under way at the end. */
  readonly good: number
  readonly late: number
  readonly refused: number
  readonly failed: number
  /** What reached the server, for each call that came: above 1 by retries. */
  readonly amplification: number
  /** What the server could have served in the time. */
  readonly capacity: number
  /** `good / capacity`. */
  readonly goodputRatio: number
  readonly goodputPerSecond: number
  /** `refused / offered`. */
  readonly refusedRatio: number
  /** Of all calls that were answered, late ones included. */
  readonly latency: Latencies
  readonly timeline: readonly TimelineSlice[]
  readonly deadlineMs: number
  readonly durationMs: number
}

const DEFAULTS = Object.freeze({ durationMs: 40_000, sliceMs: 500, seed: 1, deadlineFactor: 12 })

const KNOWN: ReadonlySet<string> = new Set<keyof OverloadOptions>([
  'servers',
  'service',
  'load',
  'arrivals',
  'capacity',
  'policy',
  'client',
  'callOptions',
  'deadlineMs',
  'durationMs',
  'sliceMs',
  'seed',
])

/**
 * What would happen to a server under a load, with these policies before it and in its clients: in virtual time, as fast as the
 * machine can, and the same each time for one seed. The policies are the real ones; only time, chance and the server are made up.
 *
 * Policies of others take part as far as they go by promises alone: what reads the process's clock or sets timers of Node sees a
 * moment in which no time passes.
 *
 * `shed` and `ownTurn` feel this process and its loop, and cannot be simulated.
 *
 * The server does not notice that a client has gone: it does the work all the same, as most servers do.
 *
 * @example
 * const report = await simulateOverload({
 *   servers: 16,
 *   service: exponential(16),
 *   load: 3,
 *   policy: ({ clock }) => adaptiveLimit({ clock }),
 * })
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export async function simulateOverload(options: OverloadOptions): Promise<OverloadReport> {
  const checked = checkOptions(options)
  const { service, seed, durationMs } = checked
  const clock = new VirtualClock()
  // Each has its own chance, so that calls come the same whatever policies draw.
  const [arriving, serving, deciding, telling] = [1, 2, 3, 4].map(part => seededRandom(seed * 7_919 + part)) as Randoms
  const server = new FifoServer(clock, serving, { servers: options.servers, service })
  const tally = new Tally(durationMs, checked.sliceMs)
  let served = 0
  const work = (): Promise<undefined> => {
    served += 1
    return server.serve()
  }
  const request = requestOf(options, { clock, random: deciding }, work, telling)
  const call = (): void => {
    const arrivedMs = clock.monotonicMs()
    tally.offered(arrivedMs)
    const end = (isAnswered: boolean, error?: unknown): void => {
      const atMs = clock.monotonicMs()
      const latencyMs = atMs - arrivedMs
      if (isAnswered) tally.ended(latencyMs <= checked.deadlineMs ? 'good' : 'late', atMs, latencyMs)
      else tally.ended(isRejection(error) ? 'refused' : 'failed', atMs, latencyMs)
    }
    request().then(
      () => end(true),
      (error: unknown) => end(false, error),
    )
  }
  const arrive = (): void => {
    const nowMs = clock.monotonicMs()
    const nextMs = checked.arrivals.nextMs(nowMs, arriving)
    if (nextMs > durationMs) return
    clock.setTimer(() => {
      arrive()
      call()
    }, nextMs - nowMs)
  }
  arrive()
  for (const phase of checked.capacity) clock.setTimer(() => server.change(phase), phase.fromMs)
  const look = (): void => {
    tally.inside(clock.monotonicMs() - checked.sliceMs / 2, server.inside)
    clock.setTimer(look, checked.sliceMs)
  }
  clock.setTimer(look, checked.sliceMs)
  await clock.runUntil(durationMs)
  return reportOf(checked, tally, served)
}

type Randoms = [Random, Random, Random, Random]
type Checked = OverloadOptions &
  Required<Pick<OverloadOptions, 'arrivals' | 'capacity' | 'deadlineMs' | 'durationMs' | 'sliceMs' | 'seed'>>

function requestOf(
  { policy, client, callOptions }: OverloadOptions,
  world: SimulatedWorld,
  work: () => Promise<undefined>,
  random: Random,
): () => Promise<unknown> {
  // cockatiel's type knows only of signals; ours, which take options too, are what `callOptions` is for.
  const before = policy?.(world) as Policy<unknown> | undefined
  const around = client?.(world)
  checkClock('policy', before, world)
  checkClock('client', around, world)
  const attempt = before === undefined ? work : () => before.execute(work, callOptions?.(random))
  return around === undefined ? attempt : () => around.execute(attempt)
}

// One with a clock of its own would see no time pass, and answer nonsense that looks like a result.
function checkClock(argument: string, policy: AnyPolicy | undefined, { clock }: SimulatedWorld): void {
  const own = policy === undefined ? undefined : clockOfPolicy(policy)
  if (own === undefined || own === clock) return
  throw new InvalidArgumentError(
    argument,
    `Expected \`${argument}\` to make policies with the clock of the simulation, got another: pass \`{ clock }\` on to each.`,
  )
}

function reportOf(checked: Checked, tally: Tally, served: number): OverloadReport {
  const { durationMs, deadlineMs } = checked
  const timeline = tally.timeline((fromMs, untilMs) => capacityBetween(checked, fromMs, untilMs))
  const sum = (key: 'offered' | 'good' | 'late' | 'refused' | 'failed' | 'capacity'): number =>
    timeline.reduce((total, slice) => total + slice[key], 0)
  const [offered, good, refused, capacity] = [sum('offered'), sum('good'), sum('refused'), sum('capacity')]
  return {
    offered,
    good,
    late: sum('late'),
    refused,
    failed: sum('failed'),
    amplification: served / offered,
    capacity,
    goodputRatio: good / capacity,
    goodputPerSecond: (good * 1_000) / durationMs,
    refusedRatio: refused / offered,
    latency: tally.latencies(),
    timeline,
    deadlineMs,
    durationMs,
  }
}

function capacityBetween({ servers, service, capacity }: Checked, fromMs: number, untilMs: number): number {
  let now = { servers, speed: 1 }
  let sinceMs = 0
  let total = 0
  const upTo = (atMs: number): void => {
    const ms = Math.min(atMs, untilMs) - Math.max(sinceMs, fromMs)
    if (ms > 0) total += (ms * now.servers * now.speed) / service.meanMs
    sinceMs = atMs
  }
  for (const { fromMs: atMs, servers: nextServers = now.servers, speed = now.speed } of capacity) {
    upTo(atMs)
    now = { servers: nextServers, speed }
  }
  upTo(Infinity)
  return total
}

function checkOptions(options: OverloadOptions): Checked {
  checkGivenKeys('simulateOverload', options, KNOWN)
  const { servers, service, load, arrivals, capacity = [] } = options
  const { durationMs = DEFAULTS.durationMs, seed = DEFAULTS.seed } = options
  const { sliceMs = Math.min(DEFAULTS.sliceMs, durationMs) } = options
  checkInteger('servers', servers, { min: 1, max: 10_000 })
  if (typeof (service as Partial<ServiceTimes> | undefined)?.nextMs !== 'function') {
    throw new InvalidArgumentError('service', 'Expected `service` to be service times, such as exponential(16).')
  }
  if ((load === undefined) === (arrivals === undefined)) {
    throw new InvalidArgumentError('load', 'Expected one of `load` and `arrivals`.')
  }
  checkInteger('durationMs', durationMs, { min: 1, max: 86_400_000 })
  checkInteger('sliceMs', sliceMs, { min: 1, max: durationMs })
  checkInteger('seed', seed, { min: 0, max: 1_000_000_000 })
  const deadlineMs = options.deadlineMs ?? DEFAULTS.deadlineFactor * service.meanMs
  checkFinite('deadlineMs', deadlineMs, 0)
  checkFunction('policy', options.policy)
  checkFunction('client', options.client)
  checkFunction('callOptions', options.callOptions)
  for (const phase of capacity) checkPhase(phase)
  if (load !== undefined) checkFinite('load', load, 0)
  const coming = arrivals ?? poisson(((load as number) * servers * 1_000) / service.meanMs)
  const sorted = [...capacity].sort((one, other) => one.fromMs - other.fromMs)
  return { ...options, arrivals: coming, capacity: sorted, deadlineMs, durationMs, sliceMs, seed }
}

function checkPhase({ fromMs, servers, speed }: CapacityPhase): void {
  checkFinite('capacity.fromMs', fromMs, 0)
  if (servers !== undefined) checkInteger('capacity.servers', servers, { min: 0, max: 10_000 })
  if (speed !== undefined) checkFinite('capacity.speed', speed, 0.001)
}
