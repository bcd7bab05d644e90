import { brokenHolds, holdEvent, lateness, staleWrite } from '../history.ts'
import { monotonicMs } from '../monotonic.ts'
import type { Findings, Mode, LockScenario } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'

/** The holder is stopped past the end of his lease; another gets the lock; then he goes on and writes as if nothing had been. */
export const sigstopHolder: LockScenario = {
  name: 'sigstop-holder',
  backends: ['redis', 'zookeeper', 'postgres'],
  runs: 3,
  runMsMax: 20_000,
  run,
}

async function run(stage: Stage, mode: Mode): Promise<Findings> {
  const isGuarded = mode === 'guarded'
  const boundMs = stage.site.leaseMs + 1_000
  const sleeper = await stage.actor('the stopped holder')
  const next = await stage.actor('the next holder')
  const held = await sleeper.takeAtOnce()
  await stage.step('a first write', sleeper.write(isGuarded))
  await sleeper.stop()
  const stoppedAtMs = monotonicMs()
  const granted = await stage.within(boundMs + 1_000, 'the next grant', next.take({ waitMs: boundMs + 500, isGuarded }))
  const late = lateness('The grant after a stop', granted && granted.acquiredAtMs - stoppedAtMs, boundMs)
  if (granted === undefined) return { violations: late, numbers: { boundMs } }
  await stage.step('the write of the next holder', next.write(isGuarded))

  // It is the first thing that it does when it wakes.
  const waking = sleeper.write(isGuarded)
  await sleeper.resume()
  const outcome = await stage.step('the write of the holder that woke', waking)
  await stage.becomes('its signal', () => sleeper.lostReport() !== undefined, 1_000)
  const holds = [holdEvent(sleeper.name, await sleeper.report()), holdEvent(next.name, await next.report())]
  const untold =
    sleeper.lostReport() === undefined ? ['A holder that woke past its lease was not told within 1 s.'] : []
  return {
    violations: [...late, ...untold, ...brokenHolds(holds), ...staleWrite(held.token, granted.token, outcome)],
    numbers: {
      boundMs,
      grantAfterMsMax: granted.acquiredAtMs - stoppedAtMs,
      staleRefused: outcome.kind === 'refused' ? 1 : 0,
    },
  }
}
