import { parseArgs } from 'node:util'

const BACKENDS = ['memory', 'redis', 'zookeeper'] as const
const COUNTS = { stock: { min: 40, max: 500 }, workers: { min: 3, max: 8 } } as const

export type BackendName = (typeof BACKENDS)[number]

/** What the user asked for. */
export interface DemoOptions {
  readonly backend: BackendName
  readonly isFenced: boolean
  readonly stock: number
  readonly workers: number
}

export const DEMO_DEFAULTS: DemoOptions = Object.freeze({ backend: 'memory', isFenced: true, stock: 60, workers: 6 })

export const HELP: string = `Sells a limited stock through competing workers, while some of them are stopped and killed (in memory: only stalled).

  npm run demo -- [options]

  --backend NAME   memory (default), redis or zookeeper
  --unsafe         the same story without fencing: the stock is oversold
  --stock N        how many items there are, ${COUNTS.stock.min} to ${COUNTS.stock.max} (default ${DEMO_DEFAULTS.stock})
  --workers N      how many workers sell, ${COUNTS.workers.min} to ${COUNTS.workers.max} (default ${DEMO_DEFAULTS.workers})
  --help           this text

HOLDFAST_REDIS_URL and HOLDFAST_ZOOKEEPER name a server to use; without them the demo starts one of its own.
Exit codes: 0 the stock is right, 1 it is wrong (always with --unsafe), 2 bad options, 3 the run showed nothing or broke off.
`

/** A wish that cannot be fulfilled; the message is a sentence for the user. */
export class BadOption extends Error {}

/**
 * @returns undefined when help was asked for
 * @throws {BadOption}
 */
export function parseOptions(args: readonly string[]): DemoOptions | undefined {
  const { tokens } = parseArgs({ args: [...args], strict: false, tokens: true, options: OPTIONS })
  let options = DEMO_DEFAULTS
  for (const token of tokens) {
    if (token.kind === 'option-terminator') continue
    if (token.kind === 'positional')
      throw new BadOption(`Expected only options, got "${token.value}"; --help lists them.`)
    switch (token.name) {
      case 'help':
        checkNoValue(token.name, token.value)
        return undefined
      case 'unsafe':
        checkNoValue(token.name, token.value)
        options = { ...options, isFenced: false }
        break
      case 'backend':
        options = { ...options, backend: backendOf(token.value) }
        break
      case 'stock':
      case 'workers':
        options = { ...options, [token.name]: countOf(token.name, token.value) }
        break
      default:
        throw new BadOption(
          `Unknown option "${token.rawName}"; there are ${Object.keys(OPTIONS)
            .map(name => `--${name}`)
            .join(', ')}.`,
        )
    }
  }
  return options
}

const OPTIONS = {
  backend: { type: 'string' },
  unsafe: { type: 'boolean' },
  stock: { type: 'string' },
  workers: { type: 'string' },
  help: { type: 'boolean' },
} as const

function checkNoValue(name: string, value: string | undefined): void {
  if (value !== undefined) throw new BadOption(`Expected --${name} to have no value, got ${seen(value)}.`)
}

function backendOf(value: string | undefined): BackendName {
  const backend = BACKENDS.find(name => name === value)
  if (backend === undefined) throw new BadOption(`Expected --backend to be ${BACKENDS.join(', ')}, got ${seen(value)}.`)
  return backend
}

function countOf(name: 'stock' | 'workers', value: string | undefined): number {
  const { min, max } = COUNTS[name]
  const count = /^\d+$/.test(value ?? '') ? Number(value) : NaN
  if (count >= min && count <= max) return count
  throw new BadOption(`Expected --${name} to be an integer from ${min} to ${max}, got ${seen(value)}.`)
}

function seen(value: string | undefined): string {
  return value === undefined ? 'nothing' : `"${value}"`
}
