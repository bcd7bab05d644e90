import { createFaultProxy } from '@holdfast/core/testing'
import type { Servers } from '../lock/servers.ts'
import { askProcess } from '../one-answer.ts'
import type { Measured } from '../row.ts'
import type { RoundResults } from '../rounds.ts'
import { runInterleaved } from '../rounds.ts'
import type { Measure } from '../suite.ts'
import type { Quota } from './limit-contestants.ts'
import type { LimitAnswer, LimitLoad } from './limit-worker.ts'
import { rows } from './rows.ts'

const WORKER = new URL('./limit-worker.js', import.meta.url)
// Never reached, so that what is measured is the asking.
const WIDE: Quota = { limit: 100_000_000, burst: 100_000_000 }
const TIGHT: Quota = { limit: 1_000, burst: 100 }
const IN_FLIGHT = 64
const FIVE_MINUTES_MS = 300_000
const FULL = { rounds: 7, durationMs: 1_500, tightMs: 4_000 }
const SMOKE = { rounds: 1, durationMs: 80, tightMs: 200 }

interface Sizes {
  readonly rounds: number
  readonly durationMs: number
  readonly tightMs: number
}

/** A quota that is asked for in the store each time: how fast, with how many requests, and how exactly. */
export const distributedLimit: Measure<Servers> = {
  name: 'redis/distributed-limit',
  async run(servers, { isSmoke }) {
    const sizes = isSmoke ? SMOKE : FULL
    const subject = { name: 'redis/distributed-limit', unit: 'ops/s', better: 'higher' } as const
    const speeds = await contest(servers, ['ours', 'raw', 'rate-limiter-flexible'], { ...sizes, inFlight: IN_FLIGHT })
    const alone = await contest(servers, ['ours', 'raw', 'rate-limiter-flexible'], { ...sizes, inFlight: 1 })
    return [
      rows.compared(subject, speeds, { reference: 'raw', figure: speedOf }),
      rows.compared({ ...subject, name: `${subject.name}:flexible` }, speeds, {
        reference: 'rate-limiter-flexible',
        figure: speedOf,
      }),
      rows.compared({ ...subject, name: `${subject.name}:1-in-flight` }, alone, { reference: 'raw', figure: speedOf }),
      await requestsOf(servers, sizes),
      ...(await exactness(servers, sizes)),
    ]
  },
}

/** A quota of which each instance leases permits in batches. */
export const leasedLimit: Measure<Servers> = {
  name: 'redis/leased-limit',
  async run(servers, { isSmoke }) {
    const sizes = isSmoke ? SMOKE : FULL
    const subject = { name: 'redis/leased-limit', unit: 'ops/s', better: 'higher' } as const
    const results = await contest(servers, ['leased', 'raw'], { ...sizes, inFlight: IN_FLIGHT })
    const named = new Map([...results].map(([name, answers]) => [name === 'leased' ? 'ours' : name, answers]))
    return [rows.compared(subject, named, { reference: 'raw', figure: speedOf }), await overQuota(servers, sizes)]
  },
}

async function contest(
  servers: Servers,
  [ours, reference, ...peers]: readonly [string, string, ...string[]],
  { rounds, durationMs, inFlight }: Sizes & { readonly inFlight: number },
): Promise<RoundResults<LimitAnswer>> {
  const url = await servers.addressOf('redis')
  const runner = (contestant: string): { name: string; run: () => Promise<LimitAnswer> } => ({
    name: contestant,
    run: () => ask({ contestant, url, key: 'wide', quota: WIDE, inFlight, durationMs }),
  })
  return await runInterleaved([runner(ours), runner(reference), ...peers.map(runner)], {
    rounds,
    slices: 1,
    merge: ([only]) => only as LimitAnswer,
  })
}

function ask(
  load: Pick<LimitLoad, 'contestant' | 'url' | 'key' | 'quota' | 'inFlight' | 'durationMs'> & Partial<LimitLoad>,
): Promise<LimitAnswer> {
  return askProcess(WORKER, { clockAheadMs: 0, pauseMs: 0, ...load }, load.durationMs + 30_000)
}

function speedOf({ asked, elapsedMs }: LimitAnswer): number {
  return (asked / elapsedMs) * 1_000
}

// On the wire, by a proxy that counts: what a longer run sent more than a short one, so that connecting does not count.
async function requestsOf(servers: Servers, { durationMs }: Sizes): Promise<Measured> {
  const counted = new Map<string, number>()
  for (const contestant of ['ours', 'raw', 'rate-limiter-flexible']) {
    await using proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: await servers.portOf('redis') } })
    const load = { contestant, url: `redis://127.0.0.1:${proxy.port}`, key: 'counted', quota: WIDE, inFlight: 1 }
    const few = await ask({ ...load, durationMs: 1 })
    const atFew = proxy.requests
    const many = await ask({ ...load, durationMs })
    counted.set(contestant, (proxy.requests - 2 * atFew) / (many.askedInAll - few.askedInAll))
  }
  return rows.absolute({ name: 'redis/distributed-limit:requests', unit: 'requests a call', better: 'lower' }, counted)
}

// Two instances whose clocks are five minutes off each way ask without rest.
async function exactness(servers: Servers, { tightMs }: Sizes): Promise<readonly Measured[]> {
  const url = await servers.addressOf('redis')
  const offIdeal = new Map<string, number>()
  const worst = new Map<string, number>()
  for (const contestant of ['ours', 'raw', 'rate-limiter-flexible']) {
    const load = { contestant, url, key: 'tight', quota: TIGHT, inFlight: 8, durationMs: tightMs, pauseMs: 900 }
    const answers = await Promise.all([
      ask({ ...load, clockAheadMs: FIVE_MINUTES_MS }),
      ask({ ...load, clockAheadMs: -FIVE_MINUTES_MS }),
    ])
    const atMs = answers.flatMap(({ grantedAtMs }) => grantedAtMs).toSorted((a, b) => a - b)
    worst.set(contestant, mostWithin(atMs, 1_000) / TIGHT.limit)
    offIdeal.set(contestant, Math.abs(atMs.length / idealOf(atMs) - 1))
  }
  return [
    rows.absolute({ name: 'redis/distributed-limit:off_ideal', unit: 'ratio', better: 'lower' }, offIdeal),
    rows.absolute({ name: 'redis/distributed-limit:worst_second', unit: 'times the limit', better: 'lower' }, worst),
  ]
}

// A burst, and then a permit each 1/limit, over the time from the first to the last; the pause after the first fills the burst again.
function idealOf(atMs: readonly number[]): number {
  const [first = 0] = atMs
  const rest = atMs.filter(at => at - first > 450)
  const spanMs = (rest.at(-1) ?? 0) - (rest[0] ?? 0)
  return atMs.length - rest.length + TIGHT.burst + (spanMs / 1_000) * TIGHT.limit
}

function mostWithin(atMs: readonly number[], spanMs: number): number {
  let most = 0
  for (let from = 0, to = 0; to < atMs.length; to += 1) {
    while ((atMs[to] ?? 0) - (atMs[from] ?? 0) >= spanMs) from += 1
    most = Math.max(most, to - from + 1)
  }
  return most
}

// Four instances; permits beyond the quota of the time from the first to the last, as a ratio.
async function overQuota(servers: Servers, { tightMs }: Sizes): Promise<Measured> {
  const url = await servers.addressOf('redis')
  const quota: Quota = { limit: 10_000, burst: 1_000 }
  const load = { contestant: 'leased', url, key: 'leased-tight', quota, inFlight: 16, durationMs: tightMs }
  const answers = await Promise.all(Array.from({ length: 4 }, () => ask(load)))
  const atMs = answers.flatMap(({ grantedAtMs }) => grantedAtMs).toSorted((a, b) => a - b)
  const spanMs = (atMs.at(-1) ?? 0) - (atMs[0] ?? 0) + 2
  const allowed = quota.burst + (spanMs / 1_000) * quota.limit
  const over = Math.max(0, atMs.length / allowed - 1)
  const measured = rows.absolute(
    { name: 'redis/leased-limit:over_quota', unit: 'ratio', better: 'lower' },
    new Map([['ours', over]]),
  )
  return { ...measured, details: { 'granted of what the quota allows': { ours: atMs.length / allowed } } }
}
