import { monotonicMs } from '../monotonic.ts'
import type { Findings, Mode, LockScenario } from '../scenario.ts'
import type { Stage } from '../stage/stage.ts'
import type { Wipe } from '../token-order.ts'
import { tokenOrder } from '../token-order.ts'

const PROCESSES = 4
const GRANTS = 1_000
const GRANTS_IN_CONTROL = 200
const WIPES = 5

/**
 * Four processes contend for a lock whose store is emptied again and again: tokens grow all the same. A count, or the sequence
 * number of a node, begins anew.
 */
export const tokenGrowth: LockScenario = {
  name: 'token-growth',
  backends: ['redis', 'zookeeper', 'postgres'],
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
  const wiper = new Wiper(stage, grants)
  for (const actor of actors) actor.worker.onProgress(more => wiper.onGrants(more))
  const churning = Promise.all(actors.map(actor => actor.churn(Math.ceil(grants / PROCESSES))))
  const reports = await stage.step(`${grants} grants`, churning)
  const wipes = await wiper.end()
  const seen = reports.flatMap((report, index) => report.holds.map(hold => ({ holder: names[index] ?? '', ...hold })))
  const { broken, crossed } = tokenOrder(seen, wipes)
  const failures = reports.flatMap(report => report.failed)
  return {
    violations: [
      ...broken,
      ...(seen.length >= grants ? [] : [`There were ${seen.length} grants of ${grants}.`]),
      // Whose node was deleted by hand is told so, and asks again; whoever was served by Redis never hears of the wipe.
      ...(isControl || stage.site.kind === 'zookeeper' ? [] : failures.map(failure => `An acquire failed: ${failure}`)),
    ],
    numbers: { grants: seen.length, wipes: wipes.length, failedAcquires: failures.length, crossedGrants: crossed },
  }
}

/** Makes the store forget, spread over the grants, with none at the ends. */
class Wiper {
  readonly #stage: Stage
  readonly #due: number[]
  readonly #wipes: Wipe[] = []
  #grants = 0
  #wiping: Promise<void> = Promise.resolve()

  constructor(stage: Stage, grants: number) {
    this.#stage = stage
    this.#due = Array.from({ length: WIPES }, (_, index) => {
      return Math.floor((grants * (index + 0.5 + Math.random() * 0.5)) / (WIPES + 1))
    })
  }

  onGrants(more: number): void {
    this.#grants += more
    while (this.#grants >= (this.#due[0] ?? Infinity)) {
      this.#due.shift()
      this.#wiping = this.#wiping.then(() => this.#wipe())
    }
  }

  async end(): Promise<readonly Wipe[]> {
    await this.#wiping
    return this.#wipes
  }

  async #wipe(): Promise<void> {
    const beganAtMs = monotonicMs()
    await this.#stage.site.wipe(this.#stage.resource)
    this.#wipes.push({ beganAtMs, endedAtMs: monotonicMs() })
  }
}
