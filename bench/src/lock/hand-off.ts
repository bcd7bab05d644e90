import { createFaultProxy } from '@holdfast/core/testing'
import type { RoundResults } from '../rounds.ts'
import { mediansOf } from '../rounds.ts'
import type { Measured } from '../row.ts'
import { jainIndex, quantile } from '../statistics.ts'
import type { Measure, RunSettings } from '../suite.ts'
import type { Contest } from './contest.ts'
import { runContest } from './contest.ts'
import { ContestantProcess } from './contestant-process.ts'
import type { SingleStore } from './contestants/index.ts'
import type { HandOffLoad, HandOffResult } from './loads/hand-off.ts'
import { mergeHandOffs } from './loads/hand-off.ts'
import { figuresOf } from '../rows.ts'
import { HAND_OFF_CLIENTS } from './peer-runner.ts'
import { againstPeers, rows } from './rows.ts'
import type { Servers } from './servers.ts'

const HOLD_MS = 1
/** Ours first, then the floor that it is compared with. */
const CONTESTANTS: Readonly<Record<SingleStore, readonly [string, string, ...string[]]>> = {
  redis: ['ours', 'blpop', 'redlock', 'redlock-tuned', 'redis-semaphore'],
  zookeeper: ['ours', 'raw'],
  postgres: ['ours', 'advisory'],
}
const FULL = { rounds: 9, slices: 5, roundMs: 1_400, warmUpMs: 1_500 }
const SMOKE = { rounds: 2, slices: 1, roundMs: 150, warmUpMs: 100 }

interface HandOffContest extends Contest<HandOffLoad> {
  readonly store: SingleStore
}

/** What differs between hand-off measures. */
export interface HandOffOptions {
  readonly store: SingleStore
  readonly thinkMsMax: number
}

/**
 * Sixteen clients of one process, with a connection each, want the same lock and hold it for 1 ms. Counted are hand-offs to
 * another client than the last; whoever takes it again himself gets nothing for it.
 */
export function handOff({ store, thinkMsMax }: HandOffOptions): Measure<Servers> {
  const name = `${store}/handoff-${HAND_OFF_CLIENTS}${thinkMsMax > 0 ? '-think' : ''}`
  return {
    name,
    async run(servers, settings) {
      const contest = contestOf(name, { store, thinkMsMax }, settings)
      const results = await runContest(contest, servers, settings)
      const measured = rowsOf(name, results, contest)
      if (store === 'redis') measured.push(await requestsRow(contest, servers, settings))
      return measured
    },
  }
}

function contestOf(name: string, { store, thinkMsMax }: HandOffOptions, settings: RunSettings): HandOffContest {
  const { rounds, slices, roundMs, warmUpMs } = settings.isSmoke ? SMOKE : FULL
  return {
    name,
    store,
    contestants: CONTESTANTS[store],
    peers: store === 'zookeeper' ? ['curator', 'kazoo'] : [],
    connections: HAND_OFF_CLIENTS,
    rounds: { rounds, slices, merge: mergeHandOffs },
    namesOf: contestant => [`${contestant}-${name.replace('/', '-')}`],
    loadOf: ([lock = ''], turn, share) => {
      const durationMs = turn < 0 ? warmUpMs : roundMs * share
      return { kind: 'hand-off', name: lock, durationMs, holdMs: HOLD_MS, thinkMsMax, seed: turn + 1 }
    },
    limitMs: roundMs + warmUpMs + 30_000,
  }
}

function rowsOf(
  name: string,
  results: RoundResults<HandOffResult>,
  { contestants: [, reference], peers }: HandOffContest,
): Measured[] {
  const subject = { name, unit: 'hand-offs/s', better: 'higher' } as const
  const speed = rows.compared(subject, results, { reference, figure: perSecond })
  const gap = rows.ratios({ name: `${name}:gap-p50-ratio`, better: 'lower' }, results, {
    reference,
    figure: gapMs(0.5),
  })
  const jain = mediansOf(results, ({ turns }) => jainIndex(turns))
  return [
    { ...speed, details: { 'mean hold ms': figuresOf(mediansOf(results, meanHoldMs)) } },
    ...againstPeers(subject, results, { peers, figure: perSecond }),
    {
      ...gap,
      details: {
        'gap p50 ms': figuresOf(mediansOf(results, gapMs(0.5))),
        'gap p99 ms': figuresOf(mediansOf(results, gapMs(0.99))),
      },
    },
    rows.absolute({ name: `${name}:jain`, unit: 'index', better: 'higher' }, jain),
  ]
}

function perSecond({ handOffs, elapsedMs }: HandOffResult): number {
  return handOffs / (elapsedMs / 1_000)
}

function meanHoldMs({ heldMs, turns }: HandOffResult): number {
  return heldMs / turns.reduce((sum, count) => sum + count, 0)
}

function gapMs(ratio: number): (result: HandOffResult) => number {
  return ({ gapsMs }) => quantile(gapsMs, ratio)
}

// Apart from the timed rounds, since what counts the requests stands in their way.
async function requestsRow(contest: HandOffContest, servers: Servers, settings: RunSettings): Promise<Measured> {
  const figures = new Map<string, number>()
  const [ours, reference] = contest.contestants
  for (const contestant of settings.isSmoke ? [ours, reference] : contest.contestants) {
    settings.say(`${contest.name}: counting the requests of ${contestant}`)
    figures.set(contestant, await requestsPerAcquisition(contest, contestant, servers))
  }
  return rows.absolute({ name: `${contest.name}:requests`, unit: 'requests/acquisition', better: 'lower' }, figures)
}

async function requestsPerAcquisition(
  { store, connections, namesOf, loadOf, limitMs }: HandOffContest,
  contestant: string,
  servers: Servers,
): Promise<number> {
  const target = { host: '127.0.0.1', port: await servers.portOf(store) }
  const proxy = await createFaultProxy({ target, protocol: store })
  // Other names than in the timed rounds: what those left must not be prepared again.
  const names = namesOf(contestant).map(lock => `${lock}-counted`)
  const address = store === 'redis' ? proxy.redisUrl : proxy.connectString
  await using started = await ContestantProcess.start({ store, contestant, address, connections, names })
  // Disposed first: its connections are to be cut, not to be followed to their end.
  await using counted = proxy
  await started.run(loadOf(names, -1, 1), limitMs)
  counted.resetCounts()
  const { acquisitions } = await started.run(loadOf(names, 0, 1), limitMs)
  return counted.requests / acquisitions
}
