import type { Edit, Plan } from '@holdfast/config-client'
import { InvalidConfigError } from '@holdfast/config-client'
import { isWaitedFor, publishOptionsFrom, tellDeployment } from '../deployment.ts'
import type { ExitCode } from '../exit-codes.ts'
import { showChanges } from '../output/changes.ts'
import { confirm } from '../output/confirm.ts'
import { releaseLabel } from '../output/releases.ts'
import type { Session } from '../session.ts'

/** Shows what edits would change, asks, and publishes them. What was shown is what is published: else it is a conflict. */
export async function publishEdits(session: Session, edits: readonly Edit[]): Promise<ExitCode> {
  const { admin, args, output, signal } = session
  const options = publishOptionsFrom(session)
  const plan = await admin.plan(edits, planOptions(options))
  checkIssues(plan)
  output.remark(showChanges(plan.changes, output.paint))
  const isYes = args.has('yes') || plan.changes.length === 0
  await confirm(questionFor(plan, session), { isYes, isJson: output.isJson, signal })
  const expectedRevision = options.expectedRevision ?? (isYes ? undefined : (plan.head?.number ?? 0))
  const deployment = await admin.publish(edits, {
    ...options,
    ...(expectedRevision === undefined ? {} : { expectedRevision }),
  })
  return await tellDeployment(session, deployment, { changes: plan.changes, isWaiting: isWaitedFor(args) })
}

/** @throws {InvalidConfigError} `HF_INVALID_CONFIG` */
export function checkIssues({ issues }: Plan): void {
  if (issues.length > 0) throw new InvalidConfigError('The values are refused, and nothing was written', issues)
}

export function planOptions({
  expectedRevision,
  steps,
}: ReturnType<typeof publishOptionsFrom>): Parameters<Session['admin']['plan']>[1] {
  return {
    ...(expectedRevision === undefined ? {} : { expectedRevision }),
    ...(steps === undefined ? {} : { steps }),
  }
}

function questionFor({ head, affected }: Plan, { scope }: Session): string {
  const after = head === undefined ? 'as the first release' : `after ${releaseLabel(head)}`
  return `Publish for ${scope.app} in ${scope.env}, ${after}? ${affected.length} instances are reached.`
}
