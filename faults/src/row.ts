import { mergedNumbers } from './numbers.ts'
import type { BackendKind, Findings, Mode, Scenario } from './scenario.ts'
import { ConfigStage } from './config/stage.ts'
import type { Site } from './sites/site.ts'
import { WorkerPool } from './stage/pool.ts'
import { Stage } from './stage/stage.ts'

/** One scenario on one backend. */
export interface Task {
  readonly scenario: Scenario
  readonly backend: BackendKind
  readonly runs: number
}

/** What came of it; printed as it is with `--json`. */
export interface Row {
  readonly scenario: string
  readonly backend: BackendKind
  readonly runs: number
  readonly violations: number
  readonly control: { readonly violations: number } | null
  /** Numbers, and under `violation` and `failure` the first sentence of each. */
  readonly detail: Readonly<Record<string, number | string>>
}

interface Outcome extends Findings {
  readonly failure: string | undefined
}

/** Runs a scenario as often as asked for, and its control once. */
export async function playTask(task: Task, site: Site | undefined): Promise<Row> {
  const { scenario, backend, runs } = task
  await using pool = new WorkerPool()
  const play = (mode: Mode): Promise<Outcome> => playOnce(task, mode, { site, pool })
  const outcomes = await playAll(task, play)
  const control = await play('control')
  const violations = outcomes.flatMap(outcome => outcome.violations)
  const failures = [...outcomes, control].flatMap(outcome => outcome.failure ?? [])
  const detail: Record<string, number | string> = { ...mergedNumbers(outcomes.map(outcome => outcome.numbers)) }
  if (violations[0] !== undefined) detail['violation'] = violations[0]
  if (failures[0] !== undefined) detail['failure'] = failures[0]
  return {
    scenario: scenario.name,
    backend,
    runs,
    // A run that did not come to its end has shown nothing: that is no better than a broken promise.
    violations: violations.length + outcomes.filter(outcome => outcome.failure !== undefined).length,
    control: { violations: control.violations.length },
    detail,
  }
}

/** Whether everything held, and the checker has shown that it sees. */
export function isGood(row: Row): boolean {
  return row.violations === 0 && row.control?.violations !== 0 && row.detail['failure'] === undefined
}

async function playAll({ scenario, runs }: Task, play: (mode: Mode) => Promise<Outcome>): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  let started = 0
  const lane = async (): Promise<void> => {
    while (started < runs) {
      started += 1
      outcomes.push(await play('guarded'))
    }
  }
  await Promise.all(Array.from({ length: scenario.parallelRuns ?? 1 }, lane))
  return outcomes
}

/** Where one run takes place. */
interface AnyStage extends AsyncDisposable {
  /** The last thing that the run said it waits for. */
  readonly waitingFor: string
  /** What was thrown in workers and caught by nobody. */
  readonly mishaps: readonly string[]
}

async function playOnce(
  { scenario, backend }: Task,
  mode: Mode,
  { site, pool }: { readonly site: Site | undefined; readonly pool: WorkerPool },
): Promise<Outcome> {
  if ('play' in scenario) {
    await using stage = new ConfigStage(backend)
    return await playOn(scenario, stage, mode, () => scenario.play(stage, mode))
  }
  if (site === undefined) throw new Error(`${scenario.name} needs a site.`)
  await using stage = new Stage(site, pool)
  return await playOn(scenario, stage, mode, () => scenario.run(stage, mode))
}

async function playOn(
  scenario: Scenario,
  stage: AnyStage,
  mode: Mode,
  play: () => Promise<Findings>,
): Promise<Outcome> {
  const name = mode === 'control' ? `the control of ${scenario.name}` : scenario.name
  let patience: ReturnType<typeof setTimeout> | undefined
  const hung = new Promise<string>(resolve => {
    const say = (): void => resolve(`${name} waited too long (${scenario.runMsMax} ms) for ${stage.waitingFor}.`)
    patience = setTimeout(say, scenario.runMsMax)
  })
  try {
    const findings = await Promise.race([play(), hung])
    if (typeof findings === 'string') return failed(findings)
    return { ...findings, violations: [...findings.violations, ...stage.mishaps], failure: undefined }
  } catch (error) {
    return failed(
      `${name} broke while it waited for ${stage.waitingFor}: ${error instanceof Error ? error.message : String(error)}`,
    )
  } finally {
    clearTimeout(patience)
  }
}

function failed(failure: string): Outcome {
  return { violations: [], numbers: {}, failure }
}
