import { setImmediate as nextTurn } from 'node:timers/promises'
import { monotonicMs } from '../monotonic.ts'
import { Belief } from './belief.ts'
import type { Bench } from './orders.ts'
import type { ChurnReport, ChurnedHold, Orders } from './protocol.ts'

const PROGRESS_GRANTS = 10
const FAILURES_MAX = 300

/** Takes and gives back one lock, again and again. */
export async function churn({ desk, progress }: Bench, order: Orders['churn']['with']): Promise<ChurnReport> {
  const { client, grants, ...wish } = order
  const holds: ChurnedHold[] = []
  const failed: string[] = []
  while (holds.length < grants && failed.length < FAILURES_MAX) {
    const askedAtMs = monotonicMs()
    try {
      const held = await desk.contender(client).acquire({ ...wish, waitMs: 20_000, isGuarded: false })
      if (held === undefined) throw new Error('Nothing was granted within 20 s.')
      const belief = new Belief(held, () => {})
      await nextTurn()
      holds.push({ askedAtMs, ...(await belief.release()) })
      if (holds.length % PROGRESS_GRANTS === 0) progress(PROGRESS_GRANTS)
    } catch (error) {
      failed.push(error instanceof Error ? error.message : String(error))
    }
  }
  return { holds, failed }
}
