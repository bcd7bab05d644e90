import type { Random } from '../random.ts'
import { toHex } from '../random.ts'

/**
 * Whose names our nodes have, and so with whom locks are shared: `curator` for Apache Curator's InterProcessMutex, `kazoo` for
 * kazoo's Lock. The two do not see each other, so all users of a path must agree on one.
 */
export type ContenderNaming = 'curator' | 'kazoo'

/** The names of those who contend for a resource, as one of the libraries writes them. */
export interface ContenderNames {
  /** What the name of a request's node starts with; the server adds a sequence number of ten digits. */
  prefixOf(requestId: string): string
  /** The sequence number of a contender; undefined for a node that is none, such as a lock further down. */
  sequenceOf(node: string): number | undefined
  /** The id within a contender's name. */
  requestIdOf(node: string): string
  newRequestId(): string
}

interface Pattern {
  readonly before: string
  readonly after: string
  /** What precedes the number in the name of every contender. Curator takes all that ends so; its locks' name is `lock-`. */
  readonly mark: string
  readonly format: (hex: string) => string
}

const PATTERNS: Readonly<Record<ContenderNaming, Pattern>> = {
  curator: { before: '_c_', after: '-lock-', mark: 'lock-', format: toUuid },
  kazoo: { before: '', after: '__lock__', mark: '__lock__', format: hex => hex },
}

const SEQUENCE = /-?\d{10}$/
const RANDOM_BYTES = 12

/** Names of one kind, with ids that nobody else draws: 12 random bytes for all of them, and a count. */
export function contenderNames(naming: ContenderNaming, random: Random): ContenderNames {
  const { before, after, mark, format } = PATTERNS[naming]
  let own: string | undefined
  let count = 0
  return {
    prefixOf: requestId => before + requestId + after,
    sequenceOf: node => sequenceBehind(mark, node),
    requestIdOf(node) {
      const end = node.lastIndexOf(after)
      return node.slice(node.startsWith(before) ? before.length : 0, end === -1 ? undefined : end)
    },
    newRequestId() {
      own ??= toHex(random.bytes(RANDOM_BYTES))
      count = (count + 1) >>> 0
      return format(own + count.toString(16).padStart(8, '0'))
    },
  }
}

function toUuid(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

function sequenceBehind(mark: string, node: string): number | undefined {
  const digits = SEQUENCE.exec(node)?.[0]
  if (digits === undefined) return undefined
  // `-lock--2147483648`: the sign belongs to the number only where the mark stands before it.
  const number = node.endsWith(mark + digits) ? digits : digits.replace('-', '')
  return node.endsWith(mark + number) ? Number(number) : undefined
}

/**
 * How far `later` comes behind `earlier`; negative when it comes before. Sequence numbers are int32 and run over, from
 * 2147483647 to -2147483648, so only their distance says who was first, and not their text (by which Curator goes).
 */
export function distanceOf(earlier: number, later: number): number {
  return (later - earlier) | 0
}

/** Where a node stands among those who contend. */
export type Place =
  | { readonly kind: 'first' }
  /** `predecessor` is the last of those before it: the only one whose end can make it the first. */
  | { readonly kind: 'behind'; readonly predecessor: string }
  | { readonly kind: 'absent' }

const FIRST: Place = Object.freeze({ kind: 'first' })
const ABSENT: Place = Object.freeze({ kind: 'absent' })

/** The place of `own` among the children of a resource's node. */
export function placeOf(own: string, children: readonly string[], names: ContenderNames): Place {
  const ownSequence = names.sequenceOf(own)
  if (ownSequence === undefined || !children.includes(own)) return ABSENT
  let predecessor: string | undefined
  let nearest = Infinity
  for (const child of children) {
    const sequence = names.sequenceOf(child)
    if (sequence === undefined) continue
    const ahead = distanceOf(sequence, ownSequence)
    if (ahead <= 0 || ahead >= nearest) continue
    nearest = ahead
    predecessor = child
  }
  return predecessor === undefined ? FIRST : { kind: 'behind', predecessor }
}

/** All contenders, first come first. */
export function contendersInOrder(children: readonly string[], names: ContenderNames): readonly string[] {
  return children
    .flatMap(node => {
      const sequence = names.sequenceOf(node)
      return sequence === undefined ? [] : [{ node, sequence }]
    })
    .toSorted((a, b) => distanceOf(b.sequence, a.sequence))
    .map(({ node }) => node)
}
