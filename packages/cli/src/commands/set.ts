import { editsFromAssignments } from '../edits/assignments.ts'
import { PUBLISH_OPTIONS } from '../option-specs.ts'
import type { Command } from '../session.ts'
import { publishEdits } from './publishing.ts'

export const set: Command = {
  name: 'set',
  positionals: 'NAMESPACE.PATH=VALUE …',
  says: 'publishes single values',
  more: 'A value that is JSON is what JSON says, another is text. null takes a key away.',
  options: { ...PUBLISH_OPTIONS, string: { says: 'take every value as text' } },
  run: session => {
    const { args } = session
    return publishEdits(session, editsFromAssignments(args.positionals, { areTexts: args.has('string') }))
  },
}
