import type { IncomingMessage, ServerResponse } from 'node:http'
import { request } from 'node:http'
import { describe, expect, it } from 'vitest'
import { circuitBreaker } from '../breaker/circuit-breaker.ts'
import { bulkhead } from '../bulkhead/bulkhead.ts'
import { pipeline } from '../pipeline.ts'
import { retry } from '../retry/retry.ts'
import { timeout } from '../timeout/timeout.ts'
import { protect } from './protect.ts'
import { resilientFetch } from './resilient-fetch.ts'
import type { Site } from './server.fixture.ts'
import { serveSite } from './server.fixture.ts'

async function until(seen: () => boolean): Promise<void> {
  while (!seen()) await new Promise(resolve => void setImmediate(resolve))
}

function urlOf({ port }: Site): string {
  return `http://127.0.0.1:${port}`
}

describe('a server under a pipeline', () => {
  it('serves as many at once as the bulkhead has slots, lets one wait, and refuses the rest', async () => {
    const held: ServerResponse[] = []
    const hold = (_request: IncomingMessage, response: ServerResponse): void => void held.push(response)
    const slots = bulkhead({ limit: 1, queue: 1 })
    await using site = await serveSite(protect(pipeline(slots, timeout({ timeoutMs: 60_000 })), hold))
    const first = fetch(urlOf(site))
    await until(() => held.length === 1)
    const second = fetch(urlOf(site))
    await until(() => slots.describe().state['queued'] === 1)
    expect((await fetch(urlOf(site))).status).toBe(503)
    held[0]?.end('first')
    await expect((await first).text()).resolves.toBe('first')
    await until(() => held.length === 2)
    held[1]?.end('second')
    await expect((await second).text()).resolves.toBe('second')
  })

  it('gives the place of a client that went back, in the queue and in a slot', async () => {
    const held: ServerResponse[] = []
    const hold = (_request: IncomingMessage, response: ServerResponse): void => void held.push(response)
    const slots = bulkhead({ limit: 1, queue: 1 })
    await using site = await serveSite(protect(slots, hold))
    const clients = [0, 1].map(() => request({ host: '127.0.0.1', port: site.port }).on('error', () => {}))
    clients[0]?.end()
    await until(() => held.length === 1)
    clients[1]?.end()
    await until(() => slots.describe().state['queued'] === 1)
    clients[1]?.destroy()
    await until(() => slots.describe().state['queued'] === 0)
    clients[0]?.destroy()
    await until(() => slots.describe().state['inFlight'] === 0)
    expect(held).toHaveLength(1)
  })

  it('opens its circuit by answers of 500, and says when to come again', async () => {
    let runs = 0
    const failing = (_request: IncomingMessage, response: ServerResponse): void => {
      runs += 1
      response.statusCode = 500
      response.end()
    }
    const breaker = circuitBreaker({ window: { kind: 'count', size: 2 }, minCalls: 2, openMs: 60_000, openJitter: 0 })
    await using site = await serveSite(protect(breaker, failing))
    for (const calls of [1, 2]) {
      expect((await fetch(urlOf(site))).status).toBe(500)
      await until(() => breaker.describe().state['circuit'] === 'open' || breaker.describe().state['calls'] === calls)
    }
    const refused = await fetch(urlOf(site))
    expect([refused.status, runs]).toEqual([503, 2])
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(59)
  })
})

describe('a fetch with a pipeline', () => {
  it('repeats a GET and no POST, and each caller gets a whole body', async () => {
    const seen: string[] = []
    const failing = ({ method = '', url }: IncomingMessage, response: ServerResponse): void => {
      seen.push(method)
      response.statusCode = url === '/late' && seen.length === 3 ? 200 : 503
      response.end('x'.repeat(100_000))
    }
    await using site = await serveSite(failing)
    const policy = pipeline(
      retry({ maxAttempts: 3, baseMs: 1, capMs: 1 }),
      circuitBreaker(),
      timeout({ timeoutMs: 60_000 }),
    )
    const send = resilientFetch(policy)
    const late = await send(`${urlOf(site)}/late`)
    expect([late.status, (await late.text()).length]).toEqual([200, 100_000])
    const posted = await send(urlOf(site), { method: 'POST', body: 'once' })
    expect([posted.status, (await posted.text()).length]).toEqual([503, 100_000])
    expect(seen).toEqual(['GET', 'GET', 'GET', 'POST'])
  })
})
