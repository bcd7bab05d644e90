import { waitingFrom, publishOptionsFrom, tellDeployment } from '../deployment.ts'
import { usageError } from '../exit-codes.ts'
import { PUBLISH_OPTIONS } from '../option-specs.ts'
import { showChanges } from '../output/changes.ts'
import { confirm } from '../output/confirm.ts'
import type { Command } from '../session.ts'
import { releaseNumber } from './release-number.ts'

export const rollback: Command = {
  name: 'rollback',
  positionals: 'RELEASE',
  says: 'publishes the content of an older release again; -2 is the one before the head',
  options: PUBLISH_OPTIONS,
  run: async session => {
    const { admin, args, output, scope, signal } = session
    const [text, ...rest] = args.positionals
    if (text === undefined || rest.length > 0) throw usageError('Expected one release: rollback 41, or rollback -2.')
    const { release: head } = await admin.release(-1)
    const { release: target } = await admin.release(releaseNumber('RELEASE', text))
    const changes = await admin.diff(head.number, target.number)
    output.remark(showChanges(changes, output.paint))
    await confirm(`Roll ${scope.app} in ${scope.env} back from release ${head.number} to ${target.number}?`, {
      isYes: args.has('yes') || changes.length === 0,
      isJson: output.isJson,
      signal,
    })
    // By its number, and on top of the head that was looked at: another publish in between would make -2 another release.
    const options = { expectedRevision: head.number, ...publishOptionsFrom(session), to: target.number }
    return await tellDeployment(session, await admin.rollback(options), { changes, ...waitingFrom(args) })
  },
}
