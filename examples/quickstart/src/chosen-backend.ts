import { parseArgs } from 'node:util'

/** A wish that cannot be fulfilled; the message is a sentence for the user. */
export class BadOption extends Error {}

/** The value of `--backend`, or undefined for all: what needs no server first. */
export function chosenBackend(args: readonly string[]): 'memory' | 'redis' | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    strict: false,
    allowPositionals: true,
    options: { backend: { type: 'string' } },
  })
  const unknown = [...Object.keys(values).filter(name => name !== 'backend'), ...positionals][0]
  if (unknown !== undefined) throw new BadOption(`Expected only the option --backend, got "${unknown}".`)
  const { backend } = values
  if (backend === undefined || backend === 'memory' || backend === 'redis') return backend
  throw new BadOption(
    `Expected --backend to be memory or redis, got ${typeof backend === 'string' ? `"${backend}"` : 'nothing'}.`,
  )
}
