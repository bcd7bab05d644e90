import type { ReleaseWithContent } from '@holdfast/config-client'
import { CommandError, usageError } from '../exit-codes.ts'
import { nameOf } from '../output/releases.ts'
import type { Command, Session } from '../session.ts'
import { releaseNumber } from './release-number.ts'

export const get: Command = {
  name: 'get',
  positionals: '[NAMESPACE[.PATH]]',
  says: 'prints what is published: JSON, or a bare value',
  more: 'What is published, not what a service makes of it: defaults are not in it, and secrets are encrypted.',
  options: { release: { value: 'N', says: 'of an older release; -2 is the one before the head' } },
  run: async session => {
    const { args, output } = session
    if (args.positionals.length > 1) throw usageError('Expected at most one NAMESPACE.PATH.')
    const { release, content } = await wanted(session)
    const path = args.positionals[0] ?? ''
    const value = valueAt(content.namespaces, path)
    if (value === undefined) throw new CommandError('failed', `${path} is not in release ${release.number}.`)
    output.result({ release: nameOf(release), value }, () => textOf(value))
  },
}

async function wanted({ admin, args }: Session): Promise<ReleaseWithContent> {
  const number = args.text('release')
  if (number !== undefined) return await admin.release(releaseNumber('--release', number))
  const { head } = await admin.state()
  if (head === undefined) throw new CommandError('failed', 'Nothing is published.')
  return head
}

function valueAt(root: unknown, path: string): unknown {
  let value = root
  for (const key of path === '' ? [] : path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = (value as Readonly<Record<string, unknown>>)[key]
  }
  return value
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value, undefined, 2)
}
