import type { Candidate, InstanceReport, RolloutRule } from '@holdfast/config-client'
import { usageError } from '../exit-codes.ts'
import type { Output } from '../output/output.ts'
import type { Standing } from '../output/releases.ts'
import { describeRefusal, describeRelease, nameOf, printable, releaseLabel, standingOf } from '../output/releases.ts'
import { table } from '../output/table.ts'
import type { Command, Session } from '../session.ts'

type Judged = InstanceReport & { readonly standing: Standing }

export const status: Command = {
  name: 'status',
  positionals: '',
  says: 'shows what is published, and what each instance runs on',
  options: {},
  run: async session => {
    const { state, instances } = await look(session)
    const { output } = session
    const { kind, head, candidate } = state
    output.result({ kind, head: head?.release, candidate, instances }, () =>
      [
        head === undefined ? 'Nothing is published.' : describeRelease(head.release),
        ...(candidate === undefined ? [] : [describeCandidate(candidate)]),
        '',
        describeInstances(instances, output),
      ].join('\n'),
    )
  },
}

export const instances: Command = {
  name: 'instances',
  positionals: '',
  says: 'lists the instances that are alive, and what each runs on',
  options: {},
  run: async session => {
    const { instances: judged } = await look(session)
    session.output.result({ instances: judged }, () => describeInstances(judged, session.output))
  },
}

async function look({ admin, args }: Session): Promise<{
  readonly state: Awaited<ReturnType<typeof admin.state>>
  readonly instances: readonly Judged[]
}> {
  if (args.positionals.length > 0) throw usageError(`Expected only options, got ${args.positionals.join(' ')}.`)
  const state = await admin.state()
  return { state, instances: state.instances.map(report => ({ ...report, standing: standingOf(report, state) })) }
}

function describeCandidate({ release, rule, step, steps }: Candidate): string {
  return `Being rolled out, at step ${step + 1} of ${steps.length} (${describeRule(rule)}): ${describeRelease(release)}`
}

function describeRule(rule: RolloutRule): string {
  switch (rule.kind) {
    case 'labels':
      return Object.entries(rule.labels)
        .map(([name, label]) => `${name}=${label}`)
        .join(', ')
    case 'percent':
      return `${rule.percent} %`
    case 'instances':
      return `${rule.ids.length} instances`
    case 'any':
      return rule.of.map(describeRule).join(' or ')
  }
}

function describeInstances(judged: readonly Judged[], { paint }: Output): string {
  if (judged.length === 0) return 'No instance is alive.'
  const colours = { applied: paint.green, candidate: paint.green, refused: paint.red, behind: paint.yellow }
  const rows = judged.map(report => [
    printable(report.id),
    colours[report.standing](report.standing),
    releaseLabel(nameOf(report.applied)),
    report.source,
    remarksOn(report),
  ])
  return table([['instance', 'standing', 'runs on', 'source', ''], ...rows])
}

function remarksOn({ refusal, pendingRestart }: InstanceReport): string {
  const refused =
    refusal === undefined ? [] : [`refused ${releaseLabel(refusal.release)} at ${describeRefusal(refusal)}`]
  const pending = pendingRestart.length === 0 ? [] : [`waits for a restart: ${printable(pendingRestart.join(', '))}`]
  return [...refused, ...pending].join('; ')
}
