import { usageError } from '../exit-codes.ts'
import { showChanges } from '../output/changes.ts'
import type { Command } from '../session.ts'
import { releaseNumber } from './release-number.ts'

export const diff: Command = {
  name: 'diff',
  positionals: '[FROM [TO]]',
  says: 'shows what differs between two releases',
  more: 'FROM is by default -2, the release before the head; TO is -1, the head. 0 is nothing at all.',
  options: {},
  run: async ({ admin, args, output }) => {
    if (args.positionals.length > 2) throw usageError('Expected at most two releases.')
    const [first = '-2', second = '-1'] = args.positionals
    const [from, to] = [releaseNumber('FROM', first), releaseNumber('TO', second)]
    const changes = await admin.diff(from, to)
    output.result({ from, to, changes }, () => showChanges(changes, output.paint))
  },
}
