import { getEventListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Contender } from './contender.ts'
import type { Bench } from './orders.ts'
import type { Orders, StormReport } from './protocol.ts'

const LANES = 4
const HOLD_MS_MAX = 20

/** Acquires over and over, and changes its mind at random moments. */
export async function storm({ desk }: Bench, order: Orders['storm']['with']): Promise<StormReport> {
  const contender = desk.contender(order.client)
  const reports: StormReport[] = []
  const lane = async (): Promise<void> => {
    for (let acquire = 0; acquire < order.acquires / LANES; acquire++)
      reports.push(await acquireAndAbort(contender, order))
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  return {
    granted: reports.reduce((sum, report) => sum + report.granted, 0),
    aborted: reports.reduce((sum, report) => sum + report.aborted, 0),
    listeners: reports.reduce((sum, report) => sum + report.listeners, 0),
    failed: reports.flatMap(report => report.failed),
  }
}

async function acquireAndAbort(contender: Contender, order: Orders['storm']['with']): Promise<StormReport> {
  const { resource, ttlMs, delayMsMax, isTold } = order
  const abort = new AbortController()
  const changeOfMind = new Error('The caller changed his mind.')
  // Most at once, some late: the square puts half of them into the first quarter.
  void sleep(Math.random() ** 2 * delayMsMax).then(() => abort.abort(changeOfMind))
  const wish = { resource, ttlMs, waitMs: 60_000, isGuarded: false }
  const report = { granted: 0, aborted: 0, listeners: 0, failed: [] as string[] }
  try {
    const acquiring = contender.acquire(isTold ? { ...wish, signal: abort.signal } : wish)
    const held = await (isTold ? acquiring : Promise.race([acquiring, rejection(abort.signal)]))
    report.granted += 1
    // So that others have to wait.
    await sleep(Math.random() * HOLD_MS_MAX)
    await held?.release()
  } catch (error) {
    if (error === changeOfMind) report.aborted += 1
    else report.failed.push(String(error))
  }
  if (isTold) report.listeners = getEventListeners(abort.signal, 'abort').length
  return report
}

function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
  )
}
