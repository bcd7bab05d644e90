import { describe, expect, it } from 'vitest'
import { pipeline } from '../pipeline.ts'
import { requestContext } from './options.ts'
import { answering, noting, refusing, timeoutByHand, trying } from './policies.fixture.ts'
import { protectFetch } from './protect-fetch.ts'

const url = 'http://service.test/items?id=7'

describe('a Fetch-style handler under a policy', () => {
  it('returns its response, and finds its call by the request', async () => {
    const policy = noting()
    const handler = protectFetch(
      policy,
      (request, env: { name: string }) => Response.json({ name: env.name, key: requestContext(request)?.key }),
      { key: request => new URL(request.url).searchParams.get('id') ?? undefined },
    )
    const response = await handler(new Request(url), { name: 'test' })
    await expect(response.json()).resolves.toEqual({ name: 'test', key: '7' })
    expect(policy.ends[0]?.kind).toBe('returned')
  })

  it('is refused with a response, and health checks are not', async () => {
    const handler = protectFetch(
      refusing({ reason: 'circuit-open', retryAfterMs: 3_500 }),
      () => new Response('well'),
      {
        exemptPaths: ['/healthz'],
      },
    )
    const response = await handler(new Request(url))
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '4'])
    expect((await handler(new Request('http://service.test/healthz?x'))).status).toBe(200)
  })

  it('fails inside with a status of 500 and more, which is returned as it is', async () => {
    const policy = noting()
    const handler = protectFetch(policy, () => new Response('bad', { status: 502 }))
    const response = await handler(new Request(url))
    expect([response.status, await response.text()]).toEqual([502, 'bad'])
    expect(policy.ends[0]).toMatchObject({ kind: 'threw', outcome: { status: 502 } })
  })

  it('that is tried again lets go of the responses before', async () => {
    const cancelled: number[] = []
    let runs = 0
    const handler = protectFetch(trying(3), () => {
      const run = (runs += 1)
      const body = new ReadableStream({ cancel: () => void cancelled.push(run) })
      return new Response(body, { status: 500 })
    })
    const response = await handler(new Request(url))
    expect([runs, cancelled, response.body?.locked]).toEqual([3, [1, 2], false])
  })

  it('is answered by a policy with a status that has no body', async () => {
    const handler = protectFetch(pipeline(answering({ status: 204 }), refusing()), () => new Response('well'))
    const response = await handler(new Request(url))
    expect([response.status, response.body]).toEqual([204, null])
  })

  it('rejects with errors that are not ours, and is answered 504 by a timeout', async () => {
    await expect(protectFetch(noting(), () => Promise.reject(new Error('down')))(new Request(url))).rejects.toThrow(
      'down',
    )
    const policy = timeoutByHand()
    const handler = protectFetch(policy, () => {
      policy.fire()
      return new Promise<Response>(() => {})
    })
    expect((await handler(new Request(url))).status).toBe(504)
  })

  it('takes the abort of the request for that of its caller', async () => {
    const policy = noting()
    const caller = new AbortController()
    const handler = protectFetch(policy, request => {
      caller.abort(new Error('gone'))
      return Promise.reject(requestContext(request)?.signal.reason)
    })
    await expect(handler(new Request(url, { signal: caller.signal }))).rejects.toThrow('gone')
    expect(policy.ends[0]?.kind).toBe('cancelled')
  })

  it('is answered by a policy in its place, by a response or by facts of one', async () => {
    const facts = protectFetch(pipeline(answering({ status: 200, body: 'reduced' }), refusing()), () => new Response())
    await expect((await facts(new Request(url))).text()).resolves.toBe('reduced')
    const whole = protectFetch(pipeline(answering(new Response('whole')), refusing()), () => new Response())
    await expect((await whole(new Request(url))).text()).resolves.toBe('whole')
    const neither = protectFetch(pipeline(answering(5), refusing()), () => new Response())
    await expect(neither(new Request(url))).rejects.toThrow('to be a Response or { status, headers, body }')
  })

  it('is answered 400 where the key of the request cannot be one', async () => {
    const handler = protectFetch(noting(), () => new Response(), { key: () => '' })
    expect((await handler(new Request(url))).status).toBe(400)
  })
})
