import { setTimeout as sleep } from 'node:timers/promises'
import { checkHistory, describeViolation } from '@holdfast/core/testing'
import type { HoldEvent, Violation } from '@holdfast/core/testing'
import { holdEvent } from '../history.ts'
import type { Findings, Mode, Scenario } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'

const PROCESSES = 4
const GRANTS = 1_000
const GRANTS_IN_CONTROL = 200
const WIPES = 5

/**
 * Four processes contend for a lock whose store is emptied again and again: tokens grow all the same. A count, or the sequence
 * number of a node, begins anew.
 */
export const tokenGrowth: Scenario = {
  name: 'token-growth',
  backends: ['redis', 'zookeeper'],
  runs: 1,
  runMsMax: 90_000,
  breaksServer: true,
  run,
}

async function run(stage: Stage, mode: Mode): Promise<Findings> {
  const isControl = mode === 'control'
  const grants = isControl ? GRANTS_IN_CONTROL : GRANTS
  const lock = isControl ? 'naive-expiring' : 'holdfast'
  const names = Array.from({ length: PROCESSES }, (_, index) => `process ${index + 1}`)
  const actors = await Promise.all(names.map(name => stage.actor(name, { lock })))
  let [granted, wipes] = [0, 0]
  for (const actor of actors) actor.worker.onProgress(more => (granted += more))
  const churning = Promise.all(actors.map(actor => actor.churn(Math.ceil(grants / PROCESSES))))
  let isOver = false
  const wiping = (async () => {
    for (const due of dueAfter(grants)) {
      while (granted < due && !isOver) await sleep(2)
      if (isOver) return
      await stage.site.wipe(stage.resource)
      wipes += 1
    }
  })()
  const reports = await stage.step(`${grants} grants`, churning)
  isOver = true
  await wiping
  const holds = reports.flatMap((report, index) => report.holds.map(hold => holdEvent(names[index] ?? '', hold)))
  const broken = tokensBroken(holds)
  const failures = reports.flatMap(report => report.failed)
  return {
    violations: [
      ...broken.certain.map(describeViolation),
      // Whose node was deleted by hand is told so, and asks again; whoever was served by Redis never hears of the wipe.
      ...(isControl || stage.site.kind === 'zookeeper' ? [] : failures.map(failure => `An acquire failed: ${failure}`)),
    ],
    numbers: { grants: holds.length, wipes, failedAcquires: failures.length, crossedGrants: broken.crossed },
  }
}

/** Spread over the grants, none at the ends. */
function dueAfter(grants: number): readonly number[] {
  return Array.from({ length: WIPES }, (_, index) =>
    Math.floor((grants * (index + 0.5 + Math.random() * 0.5)) / (WIPES + 1)),
  )
}

/**
 * A wipe makes two hold at once, and then the word of the first grant may reach its holder after that of the second: their order
 * is the store's, and nobody outside can tell it. Such a pair is only counted; of all others the second came after the first's end.
 */
function tokensBroken(holds: readonly HoldEvent[]): {
  readonly certain: readonly Violation[]
  readonly crossed: number
} {
  const broken = checkHistory(holds).filter(violation => violation.kind === 'token-not-greater')
  const certain = broken.filter(({ first, second }) => second.acquiredAtMs >= first.validUntilMs)
  return { certain, crossed: broken.length - certain.length }
}
