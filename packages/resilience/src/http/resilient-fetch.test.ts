import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, expect, it } from 'vitest'
import { pipeline } from '../pipeline.ts'
import { failedResponse } from './failed-response.ts'
import { answering, noting, refusing, timeoutByHand, trying } from './policies.fixture.ts'
import type { Fetch } from './resilient-fetch.ts'
import { resilientFetch } from './resilient-fetch.ts'
import { serveSite } from './server.fixture.ts'

const url = 'http://stock.test/items/7'

/** A fetch that answers with each status in turn, and notes what it was asked. */
function answers(...statuses: (number | Error)[]): { fetch: Fetch; asked: RequestInit[]; cancelled: number[] } {
  const asked: RequestInit[] = []
  const cancelled: number[] = []
  const fetch: Fetch = async (_input, init = {}) => {
    const status = statuses[asked.push(init) - 1] ?? 200
    if (status instanceof Error) throw status
    const body = new ReadableStream({
      start: controller => controller.enqueue(new TextEncoder().encode(String(status))),
      cancel: () => void cancelled.push(status),
    })
    return new Response(body, { status, headers: { 'retry-after': '2' } })
  }
  return { fetch, asked, cancelled }
}

describe('a fetch with a policy', () => {
  it('repeats what failed, and lets go of the responses that nobody reads', async () => {
    const { fetch, asked, cancelled } = answers(503, 429, 200)
    const response = await resilientFetch(trying(3), { fetch })(url)
    expect([response.status, asked.length, cancelled]).toEqual([200, 3, [503, 429]])
  })

  it('reads what is short, so that its connection can be used again', async () => {
    const pulled: number[] = []
    let runs = 0
    const fetch: Fetch = async () => {
      const run = (runs += 1)
      const body = new ReadableStream({
        pull(controller) {
          pulled.push(run)
          if (pulled.length === 2) controller.close()
          else controller.enqueue(new Uint8Array(1))
        },
      })
      return await Promise.resolve(
        new Response(body, { status: run === 1 ? 503 : 200, headers: { 'content-length': '1' } }),
      )
    }
    await resilientFetch(trying(2), { fetch })(url)
    await new Promise(resolve => void setImmediate(resolve))
    expect(pulled.filter(run => run === 1)).toEqual([1, 1])
  })

  it('returns the last response where all failed, with its body', async () => {
    const { fetch, cancelled } = answers(500, 503)
    const response = await resilientFetch(trying(2), { fetch })(url)
    const first = await response.body?.getReader().read()
    expect([response.status, new TextDecoder().decode(first?.value as Uint8Array), cancelled]).toEqual([
      503,
      '503',
      [500],
    ])
  })

  it('tells the policies what a response said of trying again', async () => {
    const policy = trying(1)
    await resilientFetch(policy, { fetch: answers(503).fetch })(url)
    expect(policy.seen[0]).toMatchObject({ status: 503, retryAfterMs: 2_000, isRetryable: true })
  })

  it('takes other responses for what `isFailure` says', async () => {
    const { fetch, asked } = answers(404, 200)
    await resilientFetch(trying(3), { fetch, isFailure: ({ status }) => status === 404 })(url)
    expect(asked).toHaveLength(2)
  })

  it('rejects as fetch does, with the same error', async () => {
    const error = new TypeError('fetch failed')
    const { fetch, asked } = answers(error, error)
    await expect(resilientFetch(trying(2), { fetch })(url)).rejects.toBe(error)
    expect(asked).toHaveLength(2)
  })

  it('rejects with a refusal, and sends nothing', async () => {
    const { fetch, asked } = answers()
    await expect(resilientFetch(refusing(), { fetch })(url)).rejects.toMatchObject({ code: 'HF_REJECTED' })
    expect(asked).toHaveLength(0)
  })

  it('returns what a policy answers in place of a response', async () => {
    const response = await resilientFetch(pipeline(answering('kept'), refusing()))(url)
    expect(response).toBe('kept')
  })

  it('uses the global one, and tells the service of the deadline and the priority, over what is there', async () => {
    const seen: (string | string[] | undefined)[] = []
    const handler = (message: IncomingMessage, response: ServerResponse): void => {
      seen.push(message.headers['x-hf-priority'], message.headers['x-own'])
      expect(Number(message.headers['x-hf-deadline-ms'])).toBeGreaterThan(0)
      response.end('well')
    }
    await using site = await serveSite(handler)
    const call = (): object => ({ timeoutMs: 60_000, priority: 'high' })
    const at = `http://127.0.0.1:${site.port}`
    const response = await resilientFetch(noting(), { call })(at, { headers: { 'x-own': 'a' } })
    await expect(response.text()).resolves.toBe('well')
    await resilientFetch(noting(), { call })(new Request(at, { headers: { 'x-own': 'b', 'x-hf-priority': 'low' } }))
    expect(seen).toEqual(['high', 'a', 'low', 'b'])
    const { fetch, asked } = answers()
    await resilientFetch(noting(), { fetch, call, sendHeaders: false })(url)
    expect(asked[0]?.headers).toBeUndefined()
  })
})

describe('what may not be sent twice', () => {
  const body = (): ReadableStream => new ReadableStream({ start: controller => controller.close() })
  const once: readonly (readonly [string, string | Request, RequestInit])[] = [
    ['POST', url, { method: 'POST', body: 'x' }],
    ['PATCH', url, { method: 'patch' }],
    ['a request of POST', new Request(url, { method: 'POST' }), {}],
    ['PUT with a body that is a stream', url, { method: 'PUT', body: body(), duplex: 'half' } as RequestInit],
    ['PUT of a request with a body', new Request(url, { method: 'PUT', body: 'x' }), {}],
  ]

  it.each(once)('is not: %s, neither after a response nor after an error', async (_what, input, init) => {
    for (const failure of [503, new TypeError('fetch failed')]) {
      const { fetch, asked } = answers(failure)
      const policy = trying(3)
      const run = Promise.resolve(resilientFetch(policy, { fetch })(input, init))
      await expect(
        run.then(
          ({ status }) => status,
          (error: unknown) => error,
        ),
      ).resolves.toBe(failure)
      expect(asked).toHaveLength(1)
      expect(policy.seen[0]).toMatchObject({ isRetryable: false })
    }
  })

  it('is what says so: by an idempotency key, or by its caller', async () => {
    const bodies = [
      'x',
      new URLSearchParams('a=1'),
      new Blob(['x']),
      new Uint8Array(1),
      new ArrayBuffer(1),
      new FormData(),
    ]
    for (const sent of bodies) {
      const { fetch, asked } = answers(503)
      await resilientFetch(trying(2), { fetch })(url, {
        method: 'POST',
        body: sent,
        headers: { 'Idempotency-Key': 'k' },
      })
      await resilientFetch(trying(2), { fetch, call: () => ({ idempotent: true }) })(url, {
        method: 'POST',
        body: sent,
      })
      expect(asked).toHaveLength(3)
    }
  })

  it('is told to the policies: what is not idempotent is not hedged', async () => {
    const policy = noting()
    const send = resilientFetch(policy, { fetch: answers().fetch })
    await send(url)
    await send(url, { method: 'POST' })
    expect(policy.calls.map(({ idempotent }) => idempotent)).toEqual([true, false])
  })
})

describe('the signal of a fetch', () => {
  const streaming = (_message: IncomingMessage, response: ServerResponse): void => void response.write('the first half')

  it('ends a body that streams after the call has settled', async () => {
    await using site = await serveSite(streaming)
    const caller = new AbortController()
    const policy = noting()
    const response = await resilientFetch(policy)(`http://127.0.0.1:${site.port}`, { signal: caller.signal })
    expect(policy.ends[0]?.kind).toBe('returned')
    const text = response.text()
    caller.abort(new Error('gone'))
    await expect(text).rejects.toThrow('gone')
  })

  it('ends the request itself, as that of a `Request` does', async () => {
    await using site = await serveSite(() => {})
    const caller = new AbortController()
    const at = `http://127.0.0.1:${site.port}`
    const runs = [
      resilientFetch(noting())(at, { signal: caller.signal }),
      resilientFetch(noting())(new Request(at, { signal: caller.signal })),
    ]
    caller.abort(new Error('gone'))
    const settled = await Promise.allSettled(runs)
    expect(settled.map(one => (one as PromiseRejectedResult).reason as unknown)).toMatchObject([
      { message: 'gone' },
      { message: 'gone' },
    ])
  })

  it('ends what a timeout gave up', async () => {
    const policy = timeoutByHand()
    let isAborted = false
    const fetch: Fetch = (_input, init) => {
      init?.signal?.addEventListener('abort', () => (isAborted = true))
      policy.fire()
      return new Promise(() => {})
    }
    await expect(resilientFetch(policy, { fetch })(url)).rejects.toMatchObject({ code: 'HF_TIMEOUT' })
    expect(isAborted).toBe(true)
  })
})

describe('what `Retry-After` says', () => {
  it.each([
    ['7', 7_000],
    ['0', 0],
    ['Mon, 31 Dec 2001 00:00:00 GMT', 0],
    ['99999999999', 99_999_999_999_000],
    ['soon', undefined],
    ['-5', undefined],
    [null, undefined],
  ])('%s', (field, ms) => {
    const response = new Response(null, { status: 503, headers: field === null ? {} : { 'Retry-After': field } })
    expect(failedResponse(response, true).retryAfterMs).toBe(ms)
  })
})

it('a promise is no options of a call, and nothing is sent', async () => {
  let isSent = false
  const fetch: Fetch = async () => {
    isSent = true
    return await Promise.resolve(new Response())
  }
  const call = (): never => Promise.resolve({ key: 'k' }) as never
  await expect(resilientFetch(noting(), { fetch, call })(url)).rejects.toThrow(
    'options of call to be an object, got a promise',
  )
  expect(isSent).toBe(false)
})

it('options of resilientFetch that are wrong are refused', () => {
  expect(() => resilientFetch(noting(), { fetcher: 1 } as object)).toThrow('Unknown option `fetcher` of resilientFetch')
  expect(() => resilientFetch(noting(), { fetch: 1 } as object)).toThrow('Expected `fetch` to be a function, got 1.')
})
