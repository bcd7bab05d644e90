import type { HistoryEntry } from '@holdfast/config-client'
import { usageError } from '../exit-codes.ts'
import { printable, timeText } from '../output/releases.ts'
import { table } from '../output/table.ts'
import type { Command } from '../session.ts'

const LIMIT_DEFAULT = 20

export const history: Command = {
  name: 'history',
  positionals: '',
  says: 'lists releases, the newest first',
  options: { limit: { value: 'N', says: `so many at most (default ${LIMIT_DEFAULT})` } },
  run: async ({ admin, args, output }) => {
    if (args.positionals.length > 0) throw usageError('Expected nothing behind history.')
    const entries = await admin.history({ limit: args.integer('limit', 1) ?? LIMIT_DEFAULT })
    output.result({ releases: entries }, () => {
      if (entries.length === 0) return 'Nothing is published.'
      const rows = entries.map(entry => [
        String(entry.number),
        timeText(entry.publishedAtMs),
        printable(entry.author),
        entry.hash.slice(0, 8),
        entry.standing === 'past' ? '' : entry.standing,
        printable(remarksOn(entry)),
      ])
      return table([['release', 'published (UTC)', 'by', 'hash', '', 'message'], ...rows])
    })
  },
}

function remarksOn({ kind, rolledBackTo, message, reason }: HistoryEntry): string {
  const back = kind === 'rollback' ? `(back to ${rolledBackTo})` : ''
  const why = reason === undefined ? '' : `(taken back: ${reason})`
  return [back, message, why].filter(text => text !== '').join(' ')
}
