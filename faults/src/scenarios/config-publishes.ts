import { seededRandom } from '@holdfast/core'
import { Chaos } from '../config/chaos.ts'
import { headOf } from '../config/head.ts'
import type { PublishReport, ReaderReport } from '../config/protocol.ts'
import type { ConfigStage, Seat } from '../config/stage.ts'
import type { ConfigScenario, Findings, Mode } from '../scenario.ts'

const PUBLISHERS = 3
const READER_PROCESSES = 2
const READERS_EACH = 2
const PUBLISHES = 10_000
const PUBLISHES_IN_CONTROL = 600
const RESTARTS = 4
const RECONCILE_MS = 2_000
const SETTLE_MS = 20_000
const SEED = Number(process.env['HOLDFAST_FAULTS_SEED'] ?? 1)
const APP = 'counting'

/**
 * Three processes count up in one namespace, each saying which revision it has read, while links break, notices are dropped,
 * doubled and late, and the server is killed: no count is lost, and every reader ends at the head, having applied nothing out of
 * order. Who does not say what he has read loses counts.
 */
export const configPublishes: ConfigScenario = {
  name: 'config-publishes',
  backends: ['redis', 'zookeeper', 'postgres'],
  runs: 1,
  runMsMax: 420_000,
  play,
}

async function play(stage: ConfigStage, mode: Mode): Promise<Findings> {
  const isControl = mode === 'control'
  await stage.start({ isDurable: true })
  const publishers = await stage.seats(PUBLISHERS)
  const watchers = await stage.seats(READER_PROCESSES)
  const first = await stage.step('the first publish', publish(publishers[0], 0, { count: 1, expects: true }))
  await stage.step('the readers', Promise.all(watchers.map(read)))

  const chaos = new Chaos(stage.proxies, seededRandom(SEED))
  const breaking = isControl ? undefined : chaos.run()
  const count = Math.ceil((isControl ? PUBLISHES_IN_CONTROL : PUBLISHES) / PUBLISHERS)
  const publishing = Promise.all(publishers.map((seat, index) => publish(seat, index, { count, expects: !isControl })))
  const restarts = isControl ? 0 : await restartAlong(stage, publishers, { count: count * PUBLISHERS, publishing })
  const reports = [first, ...(await stage.step(`${count * PUBLISHERS} publishes`, publishing))]
  chaos.stop()
  await stage.step('the links to be whole', breaking ?? Promise.resolve())

  const total = sumOf(reports, 'published')
  const { seen, head } = await settle(stage, watchers)
  return {
    violations: [...judgePublishers(reports, total, head), ...judgeReaders(seen, head?.number ?? 0)],
    numbers: {
      published: total,
      conflicts: sumOf(reports, 'conflicts'),
      repeats: sumOf(reports, 'repeats'),
      restarts,
      linkFaults: chaos.faults,
      appliedMin: Math.min(...seen.map(({ applied }) => applied)),
      boundSeed: SEED,
    },
  }
}

async function publish(
  seat: Seat | undefined,
  index: number,
  how: { readonly count: number; readonly expects: boolean },
): Promise<PublishReport> {
  if (seat === undefined) throw new Error('There is no such publisher.')
  return await seat.worker.order('publish', {
    address: seat.address,
    app: APP,
    author: `publisher ${index + 1}`,
    ...how,
  })
}

function read({ worker, address }: Seat, index: number): Promise<undefined> {
  const seed = SEED * 100 + index * READERS_EACH
  return worker.order('read', { address, app: APP, readers: READERS_EACH, seed, reconcileMs: RECONCILE_MS })
}

/** Kills the server again and again, spread over the publishes. */
async function restartAlong(
  stage: ConfigStage,
  publishers: readonly Seat[],
  { count, publishing }: { readonly count: number; readonly publishing: Promise<unknown> },
): Promise<number> {
  let isOver = false
  const end = (): boolean => (isOver = true)
  publishing.then(end, end)
  let restarts = 0
  for (; restarts < RESTARTS; restarts += 1) {
    const due = (count * (restarts + 1)) / (RESTARTS + 1)
    const published = (): number => publishers.reduce((sum, { worker }) => sum + worker.published, 0)
    await stage.becomes(`${Math.round(due)} publishes`, () => isOver || published() >= due, Infinity)
    if (isOver) break
    await stage.step('the server to come back', stage.server.restart({ keepData: true }))
  }
  return restarts
}

async function settle(
  stage: ConfigStage,
  watchers: readonly Seat[],
): Promise<{ readonly seen: readonly ReaderReport[]; readonly head: Awaited<ReturnType<typeof headOf>> }> {
  const head = await stage.step('the head', headOf(stage.address, APP))
  let seen: readonly ReaderReport[] = []
  await stage.becomes(
    'the readers to be at the head',
    async () => {
      seen = (await Promise.all(watchers.map(({ worker }) => worker.order('seen', undefined)))).flat()
      return seen.every(({ number }) => number === head?.number)
    },
    SETTLE_MS,
  )
  return { seen, head }
}

function judgePublishers(
  reports: readonly PublishReport[],
  total: number,
  head: { readonly number: number; readonly value: number } | undefined,
): readonly string[] {
  const { number, value } = head ?? { number: 0, value: 0 }
  return [
    ...reports.flatMap(({ failures }) => failures.map(failure => `A publish failed: ${failure}`)),
    ...(number === total ? [] : [`There are ${number} releases of ${total} publishes.`]),
    ...(value === total ? [] : [`The counter stands at ${value} after ${total} publishes.`]),
  ]
}

function judgeReaders(seen: readonly ReaderReport[], head: number): readonly string[] {
  return seen.flatMap(({ number, wrong, state, detail }, index) => [
    ...wrong.map(sentence => `Reader ${index + 1}: ${sentence}`),
    ...(number === head ? [] : [`Reader ${index + 1} ended at release ${number} of ${head}, ${state}: ${detail}`]),
    ...(state === 'current' ? [] : [`Reader ${index + 1} ended in the state ${state}: ${detail}`]),
  ])
}

function sumOf(reports: readonly PublishReport[], key: 'published' | 'conflicts' | 'repeats'): number {
  return reports.reduce((sum, report) => sum + report[key], 0)
}
