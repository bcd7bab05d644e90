import { setTimeout as sleep } from 'node:timers/promises'
import { startZooKeeper } from '@holdfast/scripts/servers'
import type { Measured } from '../row.ts'
import { figuresOf } from '../rows.ts'
import { median } from '../statistics.ts'
import type { Measure, RunSettings } from '../suite.ts'
import type { Candidate } from './candidates.ts'
import { ownCandidate, peerCandidate } from './candidates.ts'
import type { SingleStore } from './contestants/index.ts'
import type { PeerName } from './peer-runner.ts'
import { rows } from './rows.ts'
import type { Servers } from './servers.ts'

const ELECTION = 'election'
const PEERS: Readonly<Record<SingleStore, readonly PeerName[]>> = {
  redis: [],
  zookeeper: ['curator', 'kazoo'],
  postgres: [],
}
// A server ends sessions on its ticks: one tick later than asked for, at worst. As with its own defaults a session is ten ticks or more.
const TICK = { tickTime: 200, minSessionTimeoutMs: 400 }
/** What one who campaigns needs to have come into the queue. */
const SETTLE_MS = 50
const FULL = { crashes: 7, resigns: 40, ttlMs: 2_000 }
// Longer, since stores run beside each other then: a JVM that has just been started is to keep its session.
const SMOKE = { crashes: 1, resigns: 4, ttlMs: 3_000 }

type Size = typeof FULL

/** How long there was no leader, each time. */
interface Gaps {
  readonly afterCrashMs: readonly number[]
  readonly afterResignMs: readonly number[]
}

/**
 * How long there is no leader when one has crashed, as a part of the TTL or the session, and when one has resigned: two candidates in
 * processes of their own, timed by a third who tells them what to do, so with a message to one and from the other.
 */
export function election(store: SingleStore): Measure<Servers> {
  const name = `${store}/election-failover`
  return {
    name,
    async run(servers, settings) {
      const size = settings.isSmoke ? SMOKE : FULL
      await using ticking = store === 'zookeeper' ? await startZooKeeper(TICK) : undefined
      const address = ticking?.connectString ?? (await servers.addressOf(store))
      const own = (): Promise<Candidate> => ownCandidate({ store, address, ttlMs: size.ttlMs }, ELECTION)
      const gaps = new Map([['ours', await gapsOf(own, size, sayOf(name, 'ours', settings))]])
      for (const peer of PEERS[store]) {
        const start = (): Promise<Candidate> => peerCandidate(peer, { address, ttlMs: size.ttlMs }, `/bench/${peer}`)
        gaps.set(peer, await gapsOf(start, size, sayOf(name, peer, settings)))
      }
      return rowsOf(name, { unit: store === 'zookeeper' ? 'of the session' : 'of the TTL', ttlMs: size.ttlMs }, gaps)
    },
  }
}

function sayOf(name: string, contestant: string, { say }: RunSettings): (what: string) => void {
  return what => say(`${name}: ${contestant} ${what}`)
}

async function gapsOf(start: () => Promise<Candidate>, size: Size, say: (what: string) => void): Promise<Gaps> {
  const alive = new Set<Candidate>()
  const started = async (): Promise<Candidate> => {
    const candidate = await start()
    alive.add(candidate)
    return candidate
  }
  try {
    let [leader, next] = await Promise.all([started(), started()])
    await leader.campaign()
    say(`resigns ${size.resigns} times`)
    const afterResignMs: number[] = []
    while (afterResignMs.length < size.resigns) {
      const current = leader
      afterResignMs.push(await untilLeads(next, SETTLE_MS, () => current.resign()))
      ;[leader, next] = [next, leader]
    }
    say(`crashes ${size.crashes} times`)
    const afterCrashMs: number[] = []
    while (afterCrashMs.length < size.crashes) {
      if (afterCrashMs.length > 0) next = await started()
      const current = leader
      // Once in each part of the time between two of its renewals, or heartbeats.
      const aliveMs = SETTLE_MS + (size.ttlMs * afterCrashMs.length) / size.crashes
      afterCrashMs.push(await untilLeads(next, aliveMs, () => current.kill()))
      leader = next
    }
    return { afterCrashMs, afterResignMs }
  } finally {
    await Promise.all([...alive].map(candidate => candidate.kill()))
  }
}

/** For how long nobody leads when the leader ends, while another waits. */
async function untilLeads(next: Candidate, waitMs: number, end: () => Promise<unknown>): Promise<number> {
  const leadsMs = next.campaign().then(() => performance.now())
  const isEarly = await Promise.race([leadsMs.then(() => true), sleep(waitMs, false)])
  if (isEarly) throw new Error('A candidate was given the leadership while another had it.')
  const endMs = performance.now()
  const [ledMs] = await Promise.all([leadsMs, end()])
  return ledMs - endMs
}

function rowsOf(
  name: string,
  { unit, ttlMs }: { readonly unit: string; readonly ttlMs: number },
  gaps: ReadonlyMap<string, Gaps>,
): readonly Measured[] {
  const each = (figure: (gaps: Gaps) => number): Map<string, number> =>
    new Map([...gaps].map(([contestant, own]) => [contestant, figure(own)]))
  const crash = each(({ afterCrashMs }) => Math.max(...afterCrashMs) / ttlMs)
  const resign = each(({ afterResignMs }) => Math.max(...afterResignMs))
  return [
    {
      ...rows.absolute({ name, unit: `${unit}, worst`, better: 'lower' }, crash),
      details: {
        'median, as this part': figuresOf(each(({ afterCrashMs }) => median(afterCrashMs) / ttlMs)),
        'worst ms': figuresOf(each(({ afterCrashMs }) => Math.max(...afterCrashMs))),
      },
    },
    {
      ...rows.absolute({ name: `${name}:resign`, unit: 'ms, worst', better: 'lower' }, resign),
      details: {
        'median ms': figuresOf(each(({ afterResignMs }) => median(afterResignMs))),
        'first ms': figuresOf(each(({ afterResignMs }) => afterResignMs[0] ?? NaN)),
      },
    },
  ]
}
