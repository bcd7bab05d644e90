import type { Edit } from '@holdfast/config-client'
import { publishOptionsFrom } from '../deployment.ts'
import { editsFromAssignments } from '../edits/assignments.ts'
import { editsFromDocument, readDocument } from '../edits/document.ts'
import { usageError } from '../exit-codes.ts'
import { PUBLISH_OPTIONS } from '../option-specs.ts'
import { showChanges } from '../output/changes.ts'
import { nameOf, printable } from '../output/releases.ts'
import type { Command, Session } from '../session.ts'
import { checkedPlan } from './publishing.ts'

export const plan: Command = {
  name: 'plan',
  positionals: 'FILE | NAMESPACE.PATH=VALUE …',
  says: 'shows what a publish would do, and writes nothing',
  options: {
    ...PUBLISH_OPTIONS,
    string: { says: 'take every value as text' },
    replace: { says: 'say the named namespaces anew instead of merging them' },
  },
  run: async session => {
    const { output } = session
    const planned = await checkedPlan(session, await editsFor(session), publishOptionsFrom(session))
    const { head, hash, sizeBytes, changes, affected, doubtful } = planned
    output.result({ head: nameOf(head), hash, sizeBytes, changes, affected, doubtful }, () =>
      [
        showChanges(changes, output.paint),
        `${sizeBytes} bytes, for ${affected.length} instances.`,
        ...doubtful.map(({ instance, reason }) => printable(`May refuse: ${instance}: ${reason}`)),
      ].join('\n'),
    )
  },
}

async function editsFor({ args }: Session): Promise<readonly Edit[]> {
  const [first, ...rest] = args.positionals
  if (first === undefined) throw usageError('Expected a document or assignments.')
  if (first.includes('=')) return editsFromAssignments(args.positionals, { areTexts: args.has('string') })
  if (rest.length > 0) throw usageError('Expected one document.')
  return editsFromDocument(await readDocument(first), { isReplacing: args.has('replace') })
}
