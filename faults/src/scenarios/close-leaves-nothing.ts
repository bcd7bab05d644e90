import type { FaultProxy } from '@holdfast/core/testing'
import { monotonicMs } from '../monotonic.ts'
import type { Findings, Mode, LockScenario } from '../scenario.ts'
import type { ActorOptions, Stage } from '../stage/stage.ts'
import type { Ending } from '../worker/protocol.ts'

const EXIT_MS = 1_000
const PATIENCE_MS = 2_000

/** One way to come to a close. */
interface Way {
  readonly says: string
  readonly ending: Ending
  /** What happens to the network, and when. */
  readonly network?: { readonly when: 'before' | 'held'; readonly fault: (network: FaultProxy) => void | Promise<void> }
}

const WAYS: readonly Way[] = [
  { says: 'after a release', ending: 'released' },
  { says: 'while it held', ending: 'held' },
  { says: 'after aborted acquires', ending: 'aborted' },
  { says: 'while an acquire waited', ending: 'waiting' },
  { says: 'after its lease was lost', ending: 'lost' },
  { says: 'with no server', ending: 'server-down', network: { when: 'before', fault: network => network.close() } },
  { says: 'while it held and the server was gone', ending: 'idle', network: { when: 'held', fault: goAway } },
  {
    says: 'while it held and the link was silent',
    ending: 'idle',
    network: { when: 'held', fault: network => network.blackHole() },
  },
]

/** After `close()` a process ends by itself within a second: no socket, timer or listener holds it. */
export const closeLeavesNothing: LockScenario = {
  name: 'close-leaves-nothing',
  backends: ['memory', 'redis', 'zookeeper', 'postgres'],
  runs: 1,
  runMsMax: 60_000,
  run,
}

async function run(stage: Stage, mode: Mode): Promise<Findings> {
  const findings: Findings[] = []
  for (const way of waysOf(stage, mode)) findings.push(await close(stage, way))
  return {
    violations: findings.flatMap(finding => finding.violations),
    numbers: {
      ways: findings.length,
      exitMsMax: Math.max(...findings.map(finding => finding.numbers['exitMs'] ?? 0)),
      closeMsMax: Math.max(...findings.map(finding => finding.numbers['closeMs'] ?? 0)),
    },
  }
}

function waysOf(stage: Stage, mode: Mode): readonly Way[] {
  if (mode === 'control') return [{ says: 'with a client of the driver left open', ending: 'raw-client' }]
  return stage.site.kind === 'memory' ? WAYS.filter(way => way.network === undefined) : WAYS
}

async function close(stage: Stage, { says, ending, network }: Way): Promise<Findings> {
  const options: { -readonly [K in keyof ActorOptions]: ActorOptions[K] } = {}
  const proxy = network === undefined ? undefined : await stage.proxy()
  if (network !== undefined && proxy !== undefined) {
    options.lockVia = proxy
    if (network.when === 'before') {
      await network.fault(proxy)
      options.isReady = false
    }
  }
  const actor = await stage.actor(`the process that closed ${says}`, options)
  if (network?.when === 'held' && proxy !== undefined) {
    await actor.takeAtOnce({ waitMs: 5_000 })
    await network.fault(proxy)
  }
  const report = await stage.step(`the close ${says}`, actor.finish(ending))
  const hasExited = await stage.within(
    PATIENCE_MS,
    `the end of a process that closed ${says}`,
    actor.worker.exited.then(() => true),
  )
  const exitMs = monotonicMs() - report.closedAtMs
  if (hasExited !== true) await actor.kill()
  const { resources, listeners } = report
  return {
    violations: [
      ...(hasExited === true && exitMs <= EXIT_MS
        ? []
        : [`A process that closed ${says} did not end within ${EXIT_MS} ms.`]),
      ...(resources.length === 0 ? [] : [`A process that closed ${says} is held by ${resources.join(', ')}.`]),
      ...(listeners === 0 ? [] : [`A process that closed ${says} has left ${listeners} listeners.`]),
    ],
    numbers: { exitMs, closeMs: report.closeMs },
  }
}

function goAway(network: FaultProxy): void {
  network.refuse()
  network.dropConnections()
}
