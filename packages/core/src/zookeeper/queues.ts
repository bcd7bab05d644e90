import type { LeaseKind } from '../ports/leases.ts'
import type { NodeNames, Naming } from './naming.ts'
import type { Mode } from './operations.ts'
import type { Layout } from './paths.ts'
import { encodeName } from './paths.ts'

/** Nodes of one kind below one node. */
export interface Queue {
  readonly directory: string
  readonly names: NodeNames
  readonly parentMode: Mode
}

/** What the locks of a name are kept in. */
export interface Locks {
  readonly naming: Naming
  readonly layout: Layout
}

/** Where those who want a lock of `resource` queue. */
export function queueOf(locks: Locks, resource: string, kind: LeaseKind): Queue {
  const { kind: library, exclusive, readWrite, parentMode } = locks.naming
  const directory = directoryOf(locks, resource)
  if (kind === 'exclusive') return { directory, names: exclusive, parentMode }
  if (kind === 'read-write') return { directory, names: readWrite, parentMode }
  const beside = library === 'curator' ? `${directory}/locks` : kazooQueue(directory)
  return { directory: beside, names: exclusive, parentMode }
}

/** Where the permits of `resource` stand. */
export function poolOf(locks: Locks, resource: string): Queue {
  const { kind, permits: names, parentMode } = locks.naming
  const directory = directoryOf(locks, resource)
  return { directory: kind === 'curator' ? `${directory}/leases` : directory, names, parentMode }
}

/**
 * The node whose data is the token of the last writer of `resource`. The lock's own, which is deleted with it; but where kazoo looks
 * for the number of a semaphore's permits in that, the one beside it.
 */
export function writerMarkPath(locks: Locks, resource: string): string {
  const directory = directoryOf(locks, resource)
  return locks.naming.kind === 'curator' ? directory : kazooQueue(directory)
}

function kazooQueue(directory: string): string {
  return `${directory}-__lock__`
}

/** The node that stands for the name; `decodeURIComponent` gives the name back. */
function directoryOf({ naming, layout }: Locks, resource: string): string {
  const steps = encodeName(resource).replace(naming.taken, last => `%${last.charCodeAt(0).toString(16)}`)
  return `${layout.base}/${steps}`
}
