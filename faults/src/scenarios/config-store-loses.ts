import { headOf } from '../config/head.ts'
import type { ReaderReport } from '../config/protocol.ts'
import type { ConfigStage, Seat } from '../config/stage.ts'
import type { ConfigScenario, Findings, Mode } from '../scenario.ts'

const APP = 'losing'
const READERS = 3
const BEFORE = 40
const AFTER = 15
const RECONCILE_MS = 500
const SETTLE_MS = 15_000

/**
 * A server without persistence is killed: readers keep what they have and say that the store lost it, also when somebody publishes
 * anew from nothing. A reader that follows whatever the store says (the control: a fresh one) runs on the wrong value.
 */
export const configStoreLoses: ConfigScenario = {
  name: 'config-store-loses',
  backends: ['redis'],
  runs: 1,
  runMsMax: 60_000,
  play,
}

async function play(stage: ConfigStage, mode: Mode): Promise<Findings> {
  await stage.start({ isDurable: false })
  const [publisher, watcher, newcomer] = await stage.seats(3)
  if (publisher === undefined || watcher === undefined || newcomer === undefined)
    throw new Error('A process is missing.')
  await stage.step(`${BEFORE} publishes`, publish(publisher, BEFORE))
  await stage.step('the readers', read(watcher))
  await stage.step('the server to come back empty', stage.server.restart({ keepData: false }))

  const afterWipe = await statesOf(stage, watcher, 'store-missing')
  await stage.step(`${AFTER} publishes from nothing`, publish(publisher, AFTER))
  const head = await stage.step('the head', headOf(stage.address, APP))
  if (mode === 'control') {
    await stage.step('readers that know of nothing', read(newcomer))
    const seen = await newcomer.worker.order('seen', undefined)
    return { violations: seen.flatMap(report => wrongValue(report)), numbers: {} }
  }
  const afterPublish = await statesOf(stage, watcher, 'regressed')
  return {
    violations: [
      ...judge(afterWipe, 'store-missing', 'after the wipe'),
      ...judge(afterPublish, 'regressed', 'after it was filled anew'),
    ],
    numbers: { before: BEFORE, after: head?.number ?? 0 },
  }
}

async function publish({ worker, address }: Seat, count: number): Promise<void> {
  const { failures } = await worker.order('publish', { address, app: APP, author: 'publisher', count, expects: true })
  if (failures[0] !== undefined) throw new Error(failures[0])
}

function read({ worker, address }: Seat): Promise<undefined> {
  return worker.order('read', { address, app: APP, readers: READERS, seed: 1, reconcileMs: RECONCILE_MS })
}

async function statesOf(
  stage: ConfigStage,
  { worker }: Seat,
  state: ReaderReport['state'],
): Promise<readonly ReaderReport[]> {
  let seen: readonly ReaderReport[] = []
  const look = async (): Promise<boolean> => {
    seen = await worker.order('seen', undefined)
    return seen.every(report => report.state === state)
  }
  await stage.becomes(`the state ${state}`, look, SETTLE_MS)
  return seen
}

function judge(seen: readonly ReaderReport[], state: ReaderReport['state'], when: string): readonly string[] {
  return seen.flatMap(report => [
    ...wrongValue(report),
    ...report.wrong,
    ...(report.state === state ? [] : [`A reader is in the state ${report.state} ${when}: ${report.detail}`]),
  ])
}

function wrongValue({ number, value }: ReaderReport): readonly string[] {
  // What was acknowledged last before the wipe is what a service that was there must go on with.
  return number === BEFORE && value === BEFORE ? [] : [`A reader runs on release ${number} with the value ${value}.`]
}
