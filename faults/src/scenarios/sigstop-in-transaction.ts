import { brokenHolds, holdEvent, lateness, staleWrite } from '../history.ts'
import { monotonicMs } from '../monotonic.ts'
import type { Findings, Mode, LockScenario } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'

const STAY_MS = 300

/**
 * The holder is stopped inside of a transaction that has changed a row. Under `postgresFence.run` the server ends it with the lease, so
 * the next holder can change the row within the lease + 1 s; a plain transaction keeps the row for as long as its process sleeps.
 */
export const sigstopInTransaction: LockScenario = {
  name: 'sigstop-in-transaction',
  backends: ['postgres'],
  runs: 3,
  runMsMax: 25_000,
  run,
}

async function run(stage: Stage, mode: Mode): Promise<Findings> {
  const isGuarded = mode === 'guarded'
  const { site, resource } = stage
  const boundMs = site.leaseMs + 1_000
  const sleeper = await stage.actor('the stopped holder')
  const next = await stage.actor('the next holder')
  const held = await sleeper.takeAtOnce()
  const selling = sleeper.sell({ isGuarded, stayMs: STAY_MS })
  await stage.becomes('the row that it has changed', () => sleeper.hasEntered, 5_000)
  await sleeper.stop()
  const stoppedAtMs = monotonicMs()
  const granted = await stage.step('the next grant', next.takeAtOnce({ waitMs: boundMs + 500 }))
  const leftMs = stoppedAtMs + boundMs + 500 - monotonicMs()
  const sold = next.sell({ isGuarded })
  const isDone = await stage.within(leftMs, 'the row for the next holder', sold)
  const soldAfterMs = isDone === undefined ? undefined : monotonicMs() - stoppedAtMs

  await sleeper.resume()
  const outcome = await stage.step('the transaction of the holder that woke', selling)
  await stage.step('the transaction of the next holder', sold)
  const last = await site.lastWrite(resource)
  const holds = [holdEvent(sleeper.name, await sleeper.report()), holdEvent(next.name, await next.report())]
  return {
    violations: [
      ...lateness('The row for the next holder, counted from the stop,', soldAfterMs, boundMs),
      ...(isDone === undefined || isDone.kind === 'accepted'
        ? []
        : [`The next holder was not served: ${isDone.kind}.`]),
      ...(last === granted.token ? [] : ['The last change is not that of the next holder.']),
      ...(outcome.kind === 'accepted' && isDone !== undefined ? staleWrite(held.token, granted.token, outcome) : []),
      ...brokenHolds(holds),
    ],
    numbers: {
      boundMs,
      grantAfterMsMax: granted.acquiredAtMs - stoppedAtMs,
      rowAfterMsMax: soldAfterMs ?? 0,
      stoppedCommitted: outcome.kind === 'accepted' ? 1 : 0,
    },
  }
}
