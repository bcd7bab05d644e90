import type { Contender } from './contender.ts'
import { CODE, isCode } from './errors.ts'
import { getData } from './operations.ts'
import type { NodeListener } from './watches.ts'

/**
 * What a contender finds out while it waits for the one before it: whether that is the last one. Then the end of that one is its turn,
 * and it need not list again at the very moment for which all wait. So it watches the one before that as well, whose end is the
 * time to look; and its own node once it is next: a server tells of changes in their order, so that somebody has deleted it is known
 * before the turn that it would have had.
 *
 * It holds only where nobody can come to stand before others, so not where writers become readers.
 */
export class Outlook {
  readonly #contender: Contender
  readonly #predecessor: string
  #isNext: Promise<boolean>
  #isDoubtful = false
  #leave: () => void = () => undefined
  #isClosed = false

  constructor(contender: Contender, listing: readonly string[], predecessor: string) {
    this.#contender = contender
    this.#predecessor = predecessor
    this.#isNext = this.#look(listing).catch(didNotGetToKnow)
  }

  /** To be asked at once when the one before it has gone: whether that made it the first, for certain. */
  async isTurn(): Promise<boolean> {
    const { session } = this.#contender
    const { connections } = session
    const isNext = await this.#isNext
    // Another server may be behind the one that told of the end, and not know yet that somebody deleted our node before that.
    return isNext && !this.#isDoubtful && session.connections === connections
  }

  close(): void {
    this.#isClosed = true
    this.#leave()
  }

  async #look(listing: readonly string[]): Promise<boolean> {
    const { directory, path } = this.#contender
    const place = this.#contender.placeIn(listing.filter(node => node !== this.#predecessor))
    if (this.#isClosed || path === undefined || place.kind === 'absent') return false
    if (place.kind === 'first') return this.#watch(path, () => (this.#isDoubtful = true))
    const isThere = await this.#watch(`${directory}/${place.predecessor}`, isGone => {
      if (isGone) void this.#lookAgain()
    })
    return isThere ? false : this.#lookAgain()
  }

  #lookAgain(): Promise<boolean> {
    const looking = this.#contender.list().then(listing => this.#look(listing))
    this.#isNext = looking.catch(didNotGetToKnow)
    return this.#isNext
  }

  /** Listens to that node, and no more to the one before. False when it is not there any more. */
  async #watch(path: string, listener: NodeListener): Promise<boolean> {
    const { session } = this.#contender
    const { watches } = session
    this.#leave()
    watches.add(path, listener)
    this.#leave = () => watches.remove(path, listener)
    try {
      await session.run(getData(path, true))
      return true
    } catch (error) {
      if (isCode(error, CODE.noNode)) return false
      throw error
    }
  }
}

function didNotGetToKnow(): boolean {
  return false
}
