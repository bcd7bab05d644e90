import type { ConfigAdmin } from '@holdfast/config-client'
import { CommandError, usageError } from '../exit-codes.ts'
import { showChanges } from '../output/changes.ts'
import type { Command } from '../session.ts'
import { releaseNumber } from './release-number.ts'

export const diff: Command = {
  name: 'diff',
  positionals: '[FROM [TO]]',
  says: 'shows what differs between two releases',
  more: 'FROM is by default the release that the head was made from, TO the head. -1 is the head, -2 the one before it, 0 nothing at all.',
  options: {},
  run: async ({ admin, args, output }) => {
    if (args.positionals.length > 2) throw usageError('Expected at most two releases.')
    const [first, second = '-1'] = args.positionals
    const from = first === undefined ? await beforeHead(admin) : releaseNumber('FROM', first)
    const to = releaseNumber('TO', second)
    const changes = await admin.diff(from, to)
    output.result({ from, to, changes }, () => showChanges(changes, output.paint))
  },
}

async function beforeHead(admin: ConfigAdmin): Promise<number> {
  const { head } = await admin.state()
  if (head === undefined) throw new CommandError('failed', 'Nothing is published.')
  return head.release.parent?.number ?? 0
}
