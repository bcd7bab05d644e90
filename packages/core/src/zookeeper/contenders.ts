import type { Contending, NodeNames } from './naming.ts'

/**
 * How far `later` comes behind `earlier`; negative when it comes before. Sequence numbers are int32 and run over, from
 * 2147483647 to -2147483648, so only their distance says who was first, and not their text (by which Curator goes).
 */
export function distanceOf(earlier: number, later: number): number {
  return (later - earlier) | 0
}

/** Where a node stands among those who contend. */
export type Place =
  /** Nobody is in its way. */
  | { readonly kind: 'first' }
  /** `predecessor` is the last of those in its way: whoever else goes, it has to wait for this one. */
  | { readonly kind: 'behind'; readonly predecessor: string }
  | { readonly kind: 'absent' }

const FIRST: Place = Object.freeze({ kind: 'first' })
const ABSENT: Place = Object.freeze({ kind: 'absent' })

/**
 * The place of `own` among the children of a resource's node. In its way is who came before, unless both are shared. Who has the
 * same number is not: that is a writer's node and the reader's node that it became.
 */
export function placeOf(own: string, children: readonly string[], names: NodeNames): Place {
  const self = names.read(own)
  if (self === undefined || !children.includes(own)) return ABSENT
  let predecessor: string | undefined
  let nearest = Infinity
  for (const child of children) {
    const other = names.read(child)
    if (other === undefined || (other.side === 'shared' && self.side === 'shared')) continue
    const ahead = distanceOf(other.sequence, self.sequence)
    if (ahead <= 0 || ahead >= nearest) continue
    nearest = ahead
    predecessor = child
  }
  return predecessor === undefined ? FIRST : { kind: 'behind', predecessor }
}

/** All contenders, first come first. */
export function contendersInOrder(children: readonly string[], names: NodeNames): readonly Contending[] {
  return children.flatMap(node => names.read(node) ?? []).toSorted((a, b) => distanceOf(b.sequence, a.sequence))
}

/** Those of a queue that nobody is in the way of: the first, or all readers before the first writer. */
export function holdersAmong(inOrder: readonly Contending[]): readonly Contending[] {
  const [first] = inOrder
  const writer = inOrder.find(({ side }) => side === 'alone')
  return inOrder.filter(
    one =>
      one === first ||
      (one.side === 'shared' && (writer === undefined || distanceOf(writer.sequence, one.sequence) <= 0)),
  )
}
