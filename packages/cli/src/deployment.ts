import type { Deployment, PublishOptions, ReleaseChange, RolloutStep, Settlement } from '@holdfast/config-client'
import type { Arguments } from './command-line.ts'
import type { ExitCode } from './exit-codes.ts'
import { CommandError, EXIT } from './exit-codes.ts'
import { BAKE_DEFAULT } from './option-specs.ts'
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
      steps: args.text('steps')?.split(',').map(stepFrom),
      signal,
    }),
  }
}

function stepFrom(text: string): RolloutStep {
  const [, label, value] = /^([^=]+)=(.+)$/.exec(text) ?? []
  return label === undefined || value === undefined ? text : { [label]: value }
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
export function waitingFrom(args: Arguments): Pick<Telling, 'isWaiting' | 'isInSteps'> {
  const isInSteps = args.has('steps')
  return { isWaiting: isInSteps || args.has('wait'), isInSteps }
}

interface Telling {
  readonly changes?: readonly ReleaseChange[]
  readonly isWaiting: boolean
  /** @default false */
  readonly isInSteps?: boolean
}

/** Tells of a release that was published, and when it is waited for, of how the instances took it. */
export async function tellDeployment(
  { args, output, signal }: Session,
  deployment: Deployment,
  { changes, isWaiting, isInSteps = false }: Telling,
): Promise<ExitCode> {
  const { release, isNew, committedAtMs } = deployment
  const facts = { release, isNew, committedAtMs, changes }
  if (!isNew && changes !== undefined) {
    output.remark(`Nothing was published: ${releaseLabel(release)} says this already.`)
  }
  if (!isWaiting) {
    output.result(facts, () =>
      isNew ? `Published ${releaseLabel(release)}.` : `${capital(releaseLabel(release))} was there already.`,
    )
    return EXIT.done.code
  }
  if (isInSteps && (isNew || changes === undefined)) {
    // Where there is no terminal nothing else is heard of it for as long as the steps take.
    const bake = args.text('bake') ?? BAKE_DEFAULT
    output.remark(`Rolls ${releaseLabel(release)} out: each step has to go well for ${bake} before the next.`)
  }
  const settlement = await settled(deployment, { output, signal, isInSteps })
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
  { output, signal, isInSteps }: Pick<Session, 'output' | 'signal'> & { readonly isInSteps: boolean },
): Promise<Settlement> {
  const subscription = progress.subscribe(
    now => output.progress(`${capital(releaseLabel(release))}: ${countsOf(now)}…`),
    { initial: true },
  )
  try {
    return await end
  } catch (error) {
    if (!signal.aborted) throw error
    const rest = isInSteps ? 'stays at its step: resume, promote or abort it' : 'was not waited for any longer'
    throw new CommandError('unconfirmed', `${capital(releaseLabel(release))} is published, and ${rest}.`)
  } finally {
    subscription.close()
  }
}

function describeSettlement(settlement: Settlement): string {
  const { kind, release, applied, refused, silent, reason } = settlement
  if (kind === 'settled' && applied.length === 0) {
    return `${capital(releaseLabel(release))}: settled, and no instance was alive to apply it.`
  }
  const head = `${capital(releaseLabel(release))}: ${kind}${reason === undefined ? '' : ` (${reason})`}, ${countsOf(settlement)}.`
  const refusals = refused.map(({ instance, refusal }) => `  ${instance} refused at ${describeRefusal(refusal)}`)
  // What was taken back did not wait for all.
  const silence = kind === 'aborted' ? 'had not answered by then' : 'did not answer'
  return [head, ...refusals, ...silent.map(instance => `  ${instance} ${silence}`)].join('\n')
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
