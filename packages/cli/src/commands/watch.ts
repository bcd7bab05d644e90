import type { ReleaseWithContent } from '@holdfast/config-client'
import type { Delivery } from '../follow/delivery.ts'
import { contentJson, environmentOf } from '../follow/delivery.ts'
import type { FollowEvent } from '../follow/follow.ts'
import { follow } from '../follow/follow.ts'
import { INSTANCE_OPTIONS, execTimeoutMsFrom } from '../follow/options.ts'
import { describeRefusal, describeRelease, nameOf, releaseLabel, timeText } from '../output/releases.ts'
import { runScript } from '../script/run-script.ts'
import type { Command, Session } from '../session.ts'

/** What ending a script's process group may take on top of its own time. */
const ENDING_MS = 2_000

export const watch: Command = {
  name: 'watch',
  positionals: '[NAMESPACE …]',
  says: 'follows what is published, a line for each change, until it is interrupted',
  more: `With --exec it is an instance like any other: the script runs at the start and for each release, with HF_REVISION,
HF_PREVIOUS_REVISION, HF_HASH, HF_APP, HF_ENV, and the content as JSON on its standard input. A script that fails refuses the release:
its publisher sees why. When it fails at the start the command ends with 4.`,
  options: {
    exec: { value: 'SCRIPT', says: 'run this by a shell for each release' },
    'reveal-secrets': { says: 'give the script secrets in the clear' },
    ...INSTANCE_OPTIONS,
  },
  mindsInterrupts: true,
  run: async session => {
    const { args } = session
    const command = args.text('exec')
    const names = args.positionals.length === 0 ? undefined : args.positionals
    const delivery = command === undefined ? undefined : scriptDelivery(session, command)
    await follow(session, { names, delivery, tell: (event, release) => tell(session, event, release) })
  },
}

function scriptDelivery({ args, clock, scope, urgent }: Session, command: string): Delivery {
  const timeoutMs = execTimeoutMsFrom(args)
  const isRevealing = args.has('reveal-secrets')
  return {
    limitMs: timeoutMs + ENDING_MS,
    deliver: delivered =>
      runScript({
        command,
        env: environmentOf(delivered, scope),
        stdin: contentJson(delivered.content, { isRevealing }),
        timeoutMs,
        signal: urgent,
        clock,
      }),
  }
}

/** A line for what happened while following. */
export function tell({ clock, output }: Session, event: FollowEvent, release: ReleaseWithContent | undefined): void {
  if (!output.isJson && !isNews(event)) return
  const atMs = clock.wallMs()
  output.result({ atMs, ...factsOf(event) }, () => `${timeText(atMs)}  ${lineOf(event, release)}`)
}

/** Whether people want to read it: each apply goes through the states of itself. */
function isNews(event: FollowEvent): boolean {
  if (event.event !== 'state') return true
  const { state, previous } = event
  return state !== 'behind' && state !== 'refused' && !(state === 'current' && previous === 'behind')
}

function factsOf(event: FollowEvent): object {
  if (event.event !== 'started') return event
  const { state, detail, source, release } = event.status
  return { event: 'started', state, detail, source, release: nameOf(release) }
}

function lineOf(event: FollowEvent, release: ReleaseWithContent | undefined): string {
  switch (event.event) {
    case 'started':
      return `follows, at ${releaseLabel(event.status.release)}: ${event.status.detail}`
    case 'applied':
      return `applied ${release === undefined ? releaseLabel(event.release) : describeRelease(release.release)}`
    case 'refused':
      return `refused ${releaseLabel(event.refusal.release)} at ${describeRefusal(event.refusal)}`
    case 'state':
      return `${event.state}: ${event.detail}`
  }
}
