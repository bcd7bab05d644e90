import type { Random } from '../random.ts'
import { toHex } from '../random.ts'
import type { Mode } from './operations.ts'
import { MODE } from './operations.ts'

/**
 * Whose names our nodes have, and so with whom locks are shared: `curator` for Apache Curator's recipes, `kazoo` for kazoo's. The two
 * do not see each other, so all users of a path must agree on one.
 */
export type ContenderNaming = 'curator' | 'kazoo'

/** Beside whom a node holds: nobody, or others that are shared as well. */
export type Side = 'alone' | 'shared'

/** What the name of a node says of it. */
export interface Contending {
  readonly node: string
  readonly requestId: string
  /** An int32 that runs over: see `distanceOf`. */
  readonly sequence: number
  readonly side: Side
}

/** The names of nodes of one kind, as one of the libraries writes them. */
export interface NodeNames {
  /** What the name of a request's node starts with; the server adds a sequence number of ten digits. */
  prefixOf(requestId: string, side: Side): string
  /** Undefined for a node that is none of them, such as a lock further down. */
  read(node: string): Contending | undefined
}

/** Everything that one of the libraries names. */
export interface Naming {
  readonly kind: ContenderNaming
  /** Who holds alone, and who is in the queue for permits. */
  readonly exclusive: NodeNames
  readonly readWrite: NodeNames
  /** The nodes of permits: whole names, without a number by the server. */
  readonly permits: NodeNames
  /**
   * How the nodes above are made. Curator makes containers, and makes them anew when they are gone. kazoo makes plain ones, and looks
   * for them only once, so they must not go away.
   */
  readonly parentMode: Mode
  /** The last character of each step that would pass for one that the library keeps beside or below another lock. */
  readonly taken: RegExp
  newRequestId(): string
}

interface Pattern {
  readonly before: string
  readonly after: string
  /** What precedes the number in every such name. Curator takes all that ends so; its locks' name is `lock-`. */
  readonly mark: string
  readonly side: Side
}

const CURATOR = {
  lock: { before: '_c_', after: '-lock-', mark: 'lock-', side: 'alone' },
  read: { before: '_c_', after: '-__READ__', mark: '__READ__', side: 'shared' },
  write: { before: '_c_', after: '-__WRIT__', mark: '__WRIT__', side: 'alone' },
  lease: { before: '_c_', after: '-lease-', mark: 'lease-', side: 'shared' },
} satisfies Readonly<Record<string, Pattern>>

const KAZOO = {
  lock: { before: '', after: '__lock__', mark: '__lock__', side: 'alone' },
  read: { before: '', after: '__rlock__', mark: '__rlock__', side: 'shared' },
} satisfies Readonly<Record<string, Pattern>>

const SEQUENCE = /-?\d{10}$/
const KAZOO_PERMIT = /^[\da-f]{32}$/
const RANDOM_BYTES = 12

/** Names of one kind, with ids that nobody else draws: 12 random bytes for all of them, and a count. */
export function namingOf(kind: ContenderNaming, random: Random): Naming {
  const format = kind === 'curator' ? toUuid : (hex: string) => hex
  let own: string | undefined
  let count = 0
  return {
    ...(kind === 'curator' ? CURATOR_NAMES : KAZOO_NAMES),
    newRequestId() {
      own ??= toHex(random.bytes(RANDOM_BYTES))
      count = (count + 1) >>> 0
      return format(own + count.toString(16).padStart(8, '0'))
    },
  }
}

const CURATOR_NAMES: Omit<Naming, 'newRequestId'> = {
  kind: 'curator',
  exclusive: namesOf(CURATOR.lock),
  readWrite: namesOf(CURATOR.write, CURATOR.read),
  permits: namesOf(CURATOR.lease),
  parentMode: MODE.container,
  // Where the permits of the name above are, and who queues for them.
  taken: /(?<=\/(?:lock|lease))s(?=\/|$)/g,
}

const KAZOO_NAMES: Omit<Naming, 'newRequestId'> = {
  kind: 'kazoo',
  exclusive: namesOf(KAZOO.lock),
  readWrite: namesOf(KAZOO.lock, KAZOO.read),
  permits: {
    prefixOf: requestId => requestId,
    read: node => (KAZOO_PERMIT.test(node) ? { node, requestId: node, sequence: 0, side: 'shared' } : undefined),
  },
  parentMode: MODE.persistent,
  // Who queues for the permits of the name before it, and a permit of the name above.
  taken: /(?<=-__lock_)_(?=\/|$)|(?<=\/[\da-f]{31})[\da-f](?=\/|$)/g,
}

function namesOf(main: Pattern, shared: Pattern = main): NodeNames {
  const patterns = shared === main ? [main] : [main, shared]
  return {
    prefixOf(requestId, side) {
      const { before, after } = side === shared.side ? shared : main
      return before + requestId + after
    },
    read(node) {
      const digits = SEQUENCE.exec(node)?.[0]
      if (digits === undefined) return undefined
      for (const pattern of patterns) {
        const sequence = sequenceBehind(pattern.mark, node, digits)
        if (sequence !== undefined) return { node, requestId: idIn(node, pattern), sequence, side: pattern.side }
      }
      return undefined
    },
  }
}

function idIn(node: string, { before, after }: Pattern): string {
  const end = node.lastIndexOf(after)
  return node.slice(node.startsWith(before) ? before.length : 0, end === -1 ? undefined : end)
}

function toUuid(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

function sequenceBehind(mark: string, node: string, digits: string): number | undefined {
  // `-lock--2147483648`: the sign belongs to the number only where the mark stands before it.
  const number = node.endsWith(mark + digits) ? digits : digits.replace('-', '')
  return node.endsWith(mark + number) ? Number(number) : undefined
}
