import { CODE, isCode, isFailure } from './errors.ts'
import { contendersInOrder, holdersAmong } from './contenders.ts'
import type { LeaseKind } from '../ports/leases.ts'
import { getChildren, getData, setData } from './operations.ts'
import type { Locks } from './queues.ts'
import { poolOf, queueOf } from './queues.ts'
import type { Session } from './session.ts'

/** What Curator's Revoker writes into the node of who is to give up his lock. */
const REVOKE: Uint8Array = Buffer.from('__REVOKE__')
const ANY_VERSION = -1
const AT_ONCE = 64
const ROUNDS_MAX = 20

/** Asks all who hold: how many were asked. Rejects with `OperationError`. */
export async function askHolders(session: Session, locks: Locks, resource: string, kind: LeaseKind): Promise<number> {
  const { directory, names } = kind === 'permits' ? poolOf(locks, resource) : queueOf(locks, resource, kind)
  const children = await session.run(getChildren(directory)).catch((error: unknown) => {
    if (isCode(error, CODE.noNode)) return []
    throw error
  })
  const all = contendersInOrder(children, names)
  const holders = kind === 'permits' ? all : holdersAmong(all)
  let asked = 0
  for (let from = 0; from < holders.length; from += AT_ONCE) {
    const some = holders.slice(from, from + AT_ONCE)
    const answers = await Promise.all(some.map(({ node }) => ask(session, `${directory}/${node}`)))
    asked += answers.filter(isAsked => isAsked).length
  }
  return asked
}

async function ask(session: Session, path: string): Promise<boolean> {
  for (let round = 1; ; round++) {
    try {
      await session.run(setData(path, REVOKE, ANY_VERSION))
      return true
    } catch (error) {
      // He has given it up: before he was asked, or for he was, when only the answer was lost.
      if (isCode(error, CODE.noNode)) return round > 1
      // To say it twice does no harm: he hears it once.
      if (!isFailure(error, 'cut') || round === ROUNDS_MAX) throw error
    }
  }
}

/**
 * Watches a node of ours for the wish of others that it goes. It ends with the node, the session, or `close`; the watch that the server
 * then still has goes with the node.
 */
export class RevocationWatch {
  readonly #session: Session
  readonly #path: string
  readonly #listener: () => void
  readonly #hear = (): void => this.#heard()
  #isAsking = false
  #isChanged = false
  #isClosed = false

  /** The listener is called once at most, and not before the next turn of the event loop. It must not throw. */
  constructor(session: Session, path: string, listener: () => void) {
    this.#session = session
    this.#path = path
    this.#listener = listener
    this.#look()
  }

  close(): void {
    this.#isClosed = true
    this.#session.watches.remove(this.#path, this.#hear)
  }

  #heard(): void {
    if (this.#isClosed) return
    if (this.#isAsking) {
      this.#isChanged = true
      this.#session.watches.add(this.#path, this.#hear)
    } else {
      this.#look()
    }
  }

  #look(): void {
    this.#isAsking = true
    this.#isChanged = false
    this.#session.watches.add(this.#path, this.#hear)
    // Patiently: while there is no connection it waits for one.
    this.#session.runPatiently(getData(this.#path, true)).then(
      ({ data }) => this.#read(data),
      // The node is gone, or the session.
      () => this.close(),
    )
  }

  #read(data: Buffer): void {
    this.#isAsking = false
    if (this.#isClosed) return
    if (data.equals(REVOKE)) {
      this.close()
      this.#listener()
    } else if (this.#isChanged) {
      this.#look()
    }
  }
}
