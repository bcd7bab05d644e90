import type { Deployment, PublishOptions, ReleaseChange, Settlement } from '@holdfast/config-client'
import type { Arguments } from './command-line.ts'
import type { ExitCode } from './exit-codes.ts'
import { CommandError, EXIT } from './exit-codes.ts'
import { countsOf, describeRefusal, releaseLabel } from './output/releases.ts'
import type { Session } from './session.ts'

/** What `PUBLISH_OPTIONS` say. */
export function publishOptionsFrom({ args, signal }: Session): PublishOptions {
  return {
    ...patienceFrom(args),
    ...given({
      expectedRevision: args.integer('expect', 0),
      message: args.text('message'),
      author: args.text('author') ?? process.env['HOLDFAST_AUTHOR'],
      requestId: args.text('request-id'),
      steps: args.text('steps')?.split(','),
      signal,
    }),
  }
}

/** What `PATIENCE` says. */
export function patienceFrom(args: Arguments): Pick<PublishOptions, 'bakeMs' | 'settleMs' | 'abortOn'> {
  const silent = args.integer('abort-on-silent', 1)
  return given({
    bakeMs: args.durationMs('bake'),
    settleMs: args.durationMs('settle'),
    abortOn: silent === undefined ? undefined : { silent },
  })
}

function given<O extends object>(options: O): { [Key in keyof O]?: Exclude<O[Key], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as O
}

/** Whether `PUBLISH_OPTIONS` say to wait. A rollout goes from step to step only while its publisher is there. */
export function isWaitedFor(args: Arguments): boolean {
  return args.has('wait') || args.has('steps')
}

/** Tells of a release that was published, and when it is waited for, of how the instances took it. */
export async function tellDeployment(
  { output, signal }: Session,
  deployment: Deployment,
  { changes, isWaiting }: { readonly changes?: readonly ReleaseChange[]; readonly isWaiting: boolean },
): Promise<ExitCode> {
  const { release, isNew, committedAtMs } = deployment
  const facts = { release, isNew, committedAtMs, changes }
  if (!isNew && changes !== undefined) {
    output.remark(`Nothing was published: ${releaseLabel(release)} says this already.`)
  }
  if (!isWaiting) {
    output.result(facts, () =>
      isNew ? `Published ${releaseLabel(release)}.` : `${capital(releaseLabel(release))} it is.`,
    )
    return EXIT.done.code
  }
  const settlement = await settled(deployment, { output, signal })
  output.result({ ...facts, settlement }, () => describeSettlement(settlement))
  return EXITS[settlement.kind]
}

const EXITS: Readonly<Record<Settlement['kind'], ExitCode>> = {
  settled: EXIT.done.code,
  refused: EXIT.refused.code,
  aborted: EXIT.refused.code,
  silent: EXIT.unconfirmed.code,
  superseded: EXIT.conflict.code,
}

async function settled(
  { progress, release, settled: end }: Deployment,
  { output, signal }: Pick<Session, 'output' | 'signal'>,
): Promise<Settlement> {
  const subscription = progress.subscribe(
    now => output.progress(`${capital(releaseLabel(release))}: ${countsOf(now)}…`),
    { initial: true },
  )
  try {
    return await end
  } catch (error) {
    if (!signal.aborted) throw error
    throw new CommandError(
      'unconfirmed',
      `${capital(releaseLabel(release))} is published, and was not waited for any longer. One in steps stays at its step: resume, promote or abort it.`,
    )
  } finally {
    subscription.close()
  }
}

function describeSettlement(settlement: Settlement): string {
  const { kind, release, refused, silent, reason } = settlement
  const head = `${capital(releaseLabel(release))}: ${kind}${reason === undefined ? '' : ` (${reason})`}, ${countsOf(settlement)}.`
  const refusals = refused.map(({ instance, refusal }) => `  ${instance} refused at ${describeRefusal(refusal)}`)
  return [head, ...refusals, ...silent.map(instance => `  ${instance} did not answer`)].join('\n')
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
