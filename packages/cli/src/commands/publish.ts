import { editsFromDocument, readDocument } from '../edits/document.ts'
import { usageError } from '../exit-codes.ts'
import { PUBLISH_OPTIONS } from '../option-specs.ts'
import type { Command } from '../session.ts'
import { publishEdits } from './publishing.ts'

export const publish: Command = {
  name: 'publish',
  positionals: 'FILE',
  says: 'publishes a JSON document {namespace: {…}}; - is standard input',
  more: 'Namespaces are merged into what is there; null takes a key, or a namespace, away.',
  options: { ...PUBLISH_OPTIONS, replace: { says: 'say the named namespaces anew instead of merging them' } },
  run: async session => {
    const [file, ...rest] = session.args.positionals
    if (file === undefined || rest.length > 0) throw usageError('Expected one document: publish FILE, or publish -.')
    const document = await readDocument(file)
    return await publishEdits(session, editsFromDocument(document, { isReplacing: session.args.has('replace') }))
  },
}
