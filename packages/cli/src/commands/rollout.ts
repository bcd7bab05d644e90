import { patienceFrom, tellDeployment } from '../deployment.ts'
import { CommandError, usageError } from '../exit-codes.ts'
import { PATIENCE, WAIT, YES } from '../option-specs.ts'
import { confirm } from '../output/confirm.ts'
import type { Command, Session } from '../session.ts'

export const abort: Command = {
  name: 'abort',
  positionals: '[REASON]',
  says: 'takes back a release that is being rolled out in steps',
  options: YES,
  run: async session => {
    await ask(session, 'Take back the release that is being rolled out?')
    const reason = session.args.positionals.join(' ') || 'taken back from a shell'
    const release = found(await session.admin.abort(reason))
    session.output.result({ release }, () => `Release ${release.number} was taken back.`)
  },
}

export const promote: Command = {
  name: 'promote',
  positionals: '',
  says: 'gives a release that is being rolled out in steps to all instances, at once',
  options: { ...YES, ...WAIT },
  run: async session => {
    checkNothingElse(session)
    await ask(session, 'Give the release that is being rolled out to all instances?')
    const deployment = found(await session.admin.promote())
    return await tellDeployment(session, deployment, { isWaiting: session.args.has('wait') })
  },
}

export const resume: Command = {
  name: 'resume',
  positionals: '',
  says: 'goes on with a rollout in steps whose publisher is gone, and waits for its end',
  options: { ...YES, ...PATIENCE },
  run: async session => {
    checkNothingElse(session)
    await ask(session, 'Go on with the release that is being rolled out?')
    const { admin, args, signal } = session
    const deployment = found(await admin.resume({ ...patienceFrom(args), signal }))
    return await tellDeployment(session, deployment, { isWaiting: true, isInSteps: true })
  },
}

async function ask({ args, output, signal }: Session, question: string): Promise<void> {
  await confirm(question, { isYes: args.has('yes'), isJson: output.isJson, signal })
}

function checkNothingElse({ args }: Session): void {
  if (args.positionals.length > 0) throw usageError(`Expected only options, got ${args.positionals.join(' ')}.`)
}

function found<T>(rollout: T | undefined): T {
  if (rollout !== undefined) return rollout
  throw new CommandError('failed', 'No release is being rolled out in steps.')
}
