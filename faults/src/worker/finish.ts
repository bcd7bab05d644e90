import { getEventListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { monotonicMs } from '../monotonic.ts'
import type { Contender, Held, Wish } from './contender.ts'
import type { Bench } from './orders.ts'
import type { FinishReport, Orders } from './protocol.ts'
import { stall } from './stall.ts'

type FinishOrder = Orders['finish']['with']

// What Node itself keeps for the channel to the parent.
const SETTLE_MS = 300
const CHANNEL = new Set(['PipeWrap', 'Immediate'])

/** Comes to the end that was ordered, closes, and says what is left. */
export async function finish(bench: Bench, order: FinishOrder): Promise<FinishReport> {
  const { desk } = bench
  const signals: AbortSignal[] = []
  await comeTo(desk.contender(order.client), order, signals)
  const startedAtMs = monotonicMs()
  if (order.ending !== 'raw-client') await desk.close()
  const closedAtMs = monotonicMs()
  const resources = await resourcesAfter(SETTLE_MS)
  bench.isLeaving = true
  return {
    closedAtMs,
    closeMs: closedAtMs - startedAtMs,
    resources,
    listeners: signals.reduce((sum, signal) => sum + getEventListeners(signal, 'abort').length, 0),
  }
}

/** What holds the process, once sockets had time to close. */
async function resourcesAfter(settleMs: number): Promise<readonly string[]> {
  const endMs = monotonicMs() + settleMs
  for (;;) {
    // No timer: it would be among them.
    await new Promise(resolve => setImmediate(resolve))
    const resources = process.getActiveResourcesInfo().filter(resource => !CHANNEL.has(resource))
    if (resources.length === 0 || monotonicMs() >= endMs) return resources
  }
}

async function comeTo(contender: Contender, order: FinishOrder, signals: AbortSignal[]): Promise<void> {
  const wish = { resource: order.resource, ttlMs: order.ttlMs, waitMs: 5_000, isGuarded: false }
  switch (order.ending) {
    case 'idle':
      return
    case 'released':
      return await (await take(contender, wish)).release()
    case 'held':
      await take(contender, wish)
      return
    case 'lost':
      stall(await take(contender, wish), (order.ttlMs ?? 2_000) * 1.2)
      return
    case 'aborted': {
      const held = await take(contender, wish)
      const abort = new AbortController()
      signals.push(abort.signal)
      const acquiring = Array.from({ length: 5 }, () => contender.acquire({ ...wish, signal: abort.signal }))
      await sleep(20)
      abort.abort(new Error('The caller changed his mind.'))
      await Promise.allSettled(acquiring)
      return await held.release()
    }
    case 'waiting': {
      await take(contender, wish)
      const abort = new AbortController()
      signals.push(abort.signal)
      // It is refused by the close.
      void contender.acquire({ ...wish, waitMs: 60_000, signal: abort.signal }).catch(() => {})
      await sleep(50)
      return
    }
    case 'server-down':
      await contender.acquire({ ...wish, waitMs: 500 }).catch(() => {})
      return
    case 'raw-client':
      rawClients.push(new Redis({ port: 1, host: '127.0.0.1', maxRetriesPerRequest: null }))
      rawClients[0]?.on('error', () => {})
  }
}

const rawClients: Redis[] = []

async function take(contender: Contender, wish: Wish): Promise<Held> {
  const held = await contender.acquire(wish)
  if (held === undefined) throw new Error('The lock was not free.')
  return held
}
