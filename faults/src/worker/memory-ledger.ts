import { FencingToken, StaleTokenError } from '@holdfast/core'
import type { MemoryFence } from '@holdfast/core/memory'
import { memoryFence } from '@holdfast/core/memory'
import type { Ledger, LedgerWrite } from './ledger.ts'
import type { WriteOutcome } from './protocol.ts'

/** A ledger in this process. */
export class MemoryLedger implements Ledger {
  readonly guard: MemoryFence = memoryFence()
  #writes = 0

  async write({ resource, token, isGuarded }: LedgerWrite): Promise<WriteOutcome> {
    const take = (): WriteOutcome => ({ kind: 'accepted', order: ++this.#writes })
    if (!isGuarded) return take()
    try {
      return this.guard.run({ resource, token: new FencingToken(token) }, take)
    } catch (error) {
      if (error instanceof StaleTokenError) return { kind: 'refused' }
      throw error
    }
  }

  async close(): Promise<void> {}
}
