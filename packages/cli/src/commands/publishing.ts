import type { Edit, Plan, PublishOptions } from '@holdfast/config-client'
import { InvalidConfigError } from '@holdfast/config-client'
import { publishOptionsFrom, tellDeployment, waitingFrom } from '../deployment.ts'
import { bared } from '../edits/bared.ts'
import type { ExitCode } from '../exit-codes.ts'
import { showChanges } from '../output/changes.ts'
import { confirm } from '../output/confirm.ts'
import { releaseLabel } from '../output/releases.ts'
import type { Session } from '../session.ts'

/** Shows what edits would change, asks, and publishes them. What was shown is what is published: else it is a conflict. */
export async function publishEdits(session: Session, edits: readonly Edit[]): Promise<ExitCode> {
  const { admin, args, output, signal } = session
  const options = publishOptionsFrom(session)
  const plan = await checkedPlan(session, edits, options)
  output.remark(showChanges(plan.changes, output.paint))
  // A label that nobody has would be a step that goes well.
  if (options.steps !== undefined && plan.affected.length === 0) output.remark('The first step reaches no instance.')
  const isYes = args.has('yes') || plan.changes.length === 0
  await confirm(questionFor(plan, session), { isYes, isJson: output.isJson, signal })
  const expectedRevision = options.expectedRevision ?? (isYes ? undefined : (plan.head?.number ?? 0))
  const deployment = await admin.publish(edits, {
    ...options,
    ...(expectedRevision === undefined ? {} : { expectedRevision }),
  })
  return await tellDeployment(session, deployment, { changes: plan.changes, ...waitingFrom(args) })
}

/**
 * What edits would do.
 *
 * @throws {InvalidConfigError} `HF_INVALID_CONFIG`
 */
export async function checkedPlan(
  { admin, definitions, output }: Session,
  edits: readonly Edit[],
  { expectedRevision, steps }: PublishOptions,
): Promise<Plan> {
  const { head, candidate } = await admin.state()
  if (candidate !== undefined) {
    output.remark(
      `Release ${candidate.release.number} is being rolled out in steps: first resume, promote or abort it.`,
    )
  }
  const plan = await admin.plan(edits, {
    ...(expectedRevision === undefined ? {} : { expectedRevision }),
    ...(steps === undefined ? {} : { steps }),
  })
  const known = new Set(definitions.namespaces.map(({ name }) => name))
  const issues = [
    ...plan.issues,
    ...bared(head?.content, plan.content).filter(({ namespace }) => !known.has(namespace)),
  ]
  if (issues.length > 0) throw new InvalidConfigError('The values are refused, and nothing was written', issues)
  return plan
}

function questionFor({ head, affected }: Plan, { scope }: Session): string {
  const after = head === undefined ? 'as the first release' : `after ${releaseLabel(head)}`
  return `Publish for ${scope.app} in ${scope.env}, ${after}? ${affected.length} instances are reached.`
}
