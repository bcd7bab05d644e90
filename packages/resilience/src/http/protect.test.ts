import { createRequire } from 'node:module'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { get, request } from 'node:http'
import { connect } from 'node:net'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, it } from 'vitest'
import { pipeline } from '../pipeline.ts'
import type { Policy } from '../policy.ts'
import { requestContext } from './options.ts'
import { answering, noting, refusing, timeoutByHand, trying } from './policies.fixture.ts'
import type { NextFunction } from './protect.ts'
import { protect } from './protect.ts'
import { serveSite } from './server.fixture.ts'

// Express comes without types, and is a function that makes an app.
type App = RequestListener & { use(...handlers: unknown[]): void; get(path: string, ...handlers: unknown[]): void }
const express = createRequire(import.meta.url)('express') as () => App

const ok = (_request: IncomingMessage, response: ServerResponse): void => void response.end('well')

/** Resolves when `seen` is true, at the latest in time for the test to fail. */
async function until(seen: () => boolean): Promise<void> {
  while (!seen()) await new Promise(resolve => void setImmediate(resolve))
}

describe('a handler of node:http under a policy', () => {
  it('answers as without one, and the call lasts until the response is finished', async () => {
    const policy = noting()
    const handler = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
      expect(requestContext(message)?.signal.aborted).toBe(false)
      await new Promise(resolve => void setImmediate(resolve))
      expect(policy.ends).toHaveLength(0)
      response.end('well')
    }
    await using site = await serveSite(
      protect(policy, handler, { key: ({ url }) => url, cost: () => 3, priority: () => 'low' }),
    )
    await expect(site.ask({ path: '/a' })).resolves.toMatchObject({ status: 200, body: 'well' })
    await until(() => policy.ends.length === 1)
    expect(policy.ends[0]?.kind).toBe('returned')
    expect(policy.calls[0]).toMatchObject({ key: '/a', cost: 3, priority: 'low' })
  })

  it('refuses with an answer, and the connection can be used again', async () => {
    const refuse = protect(refusing({ reason: 'shed' }), ok)
    await using site = await serveSite((message, response) =>
      message.url === '/ok' ? ok(message, response) : refuse(message, response),
    )
    const first = await site.ask()
    expect(first).toMatchObject({
      status: 503,
      headers: { 'retry-after': '1', 'content-type': 'application/problem+json' },
    })
    expect(first.headers['connection']).toBe('keep-alive')
    await expect(site.ask({ path: '/ok' })).resolves.toMatchObject({ status: 200, isReused: true })
    await expect(site.ask({ method: 'HEAD' })).resolves.toMatchObject({ status: 503, body: '', isReused: true })
  })

  it.each([
    ['a short one', 10],
    ['one of 900 kB', 900_000],
  ])(
    'refuses a request with a body, %s, and the next on the connection is read from its start',
    async (_what, length) => {
      await using site = await serveSite(protect(refusing(), ok))
      const asked = { method: 'POST', body: Buffer.alloc(length, 'GET / HTTP/1.1\r\n') }
      for (const isReused of [false, true, true]) {
        await expect(site.ask(asked)).resolves.toMatchObject({ status: 503, isReused })
      }
      const chunked = { ...asked, headers: { 'transfer-encoding': 'chunked' } }
      await expect(site.ask(chunked)).resolves.toMatchObject({ status: 503, isReused: true })
    },
  )

  it('closes the connection where a refused upload is long', async () => {
    await using site = await serveSite(protect(refusing(), ok))
    const answer = await new Promise<string>(resolve => {
      const socket = connect(site.port, '127.0.0.1', () => {
        socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\nbegun')
        let seen = ''
        socket.on('data', part => (seen += String(part)))
        socket.on('close', () => resolve(seen))
      })
    })
    expect(answer).toMatch(/^HTTP\/1.1 503 [^]*\r\nConnection: close\r\n/)
  })

  it('counts a status of 500 and more as a failure, and sends it as it is', async () => {
    const policy = noting()
    const failing = (_request: IncomingMessage, response: ServerResponse): void => {
      response.statusCode = 502
      response.end('bad')
    }
    await using site = await serveSite(protect(policy, failing))
    await expect(site.ask()).resolves.toMatchObject({ status: 502, body: 'bad' })
    await until(() => policy.ends.length === 1)
    expect(policy.ends[0]).toMatchObject({ kind: 'threw', outcome: { status: 502 } })
  })

  it('counts what `isFailure` says', async () => {
    const policy = noting()
    await using site = await serveSite(protect(policy, ok, { isFailure: status => status === 200 }))
    await site.ask()
    await until(() => policy.ends.length === 1)
    expect(policy.ends[0]?.kind).toBe('threw')
  })

  it('takes a client that goes for an abort by the caller', async () => {
    const policy = noting()
    const signals: AbortSignal[] = []
    const never = (message: IncomingMessage): void => void signals.push(requestContext(message)?.signal as AbortSignal)
    await using site = await serveSite(protect(policy, never))
    const sent = get({ host: '127.0.0.1', port: site.port })
    sent.on('error', () => {})
    await until(() => signals.length === 1)
    sent.destroy()
    await until(() => policy.ends.length === 1)
    expect(policy.ends[0]?.kind).toBe('cancelled')
    expect(signals[0]?.aborted).toBe(true)
  })

  it('takes a response that its handler destroyed for a failure', async () => {
    const policy = noting()
    const breaks = (_request: IncomingMessage, response: ServerResponse): void =>
      void response.destroy(new Error('mine'))
    await using site = await serveSite(
      protect(policy, (message, response) => (response.on('error', () => {}), breaks(message, response))),
    )
    await expect(site.ask()).rejects.toThrow('socket hang up')
    await until(() => policy.ends.length === 1)
    expect(policy.ends[0]).toMatchObject({ kind: 'threw', outcome: { message: 'mine' } })
  })

  it('answers 504 when a timeout ends the call, and drops what the handler writes after that', async () => {
    const policy = timeoutByHand()
    let finish = (): void => {}
    const slow = (_request: IncomingMessage, response: ServerResponse): void => {
      finish = () => {
        response.setHeader('late', 'yes')
        response.writeHead(200)
        response.write('late')
        response.end('late')
      }
      policy.fire()
    }
    await using site = await serveSite(protect(policy, slow))
    await expect(site.ask()).resolves.toMatchObject({
      status: 504,
      headers: { 'content-length': expect.any(String) as string },
    })
    expect(finish).not.toThrow()
    await expect(site.ask()).resolves.toMatchObject({ status: 504, isReused: true })
  })

  it('closes the connection when a timeout ends a call whose answer had begun', async () => {
    const policy = timeoutByHand()
    await using site = await serveSite(
      protect(policy, (_request, response) => {
        response.write('the first half', () => policy.fire())
      }),
    )
    await expect(site.ask()).rejects.toThrow('aborted')
  })

  it('answers 500 where the handler fails, at once or later, and reports the error', async () => {
    const heard: unknown[] = []
    const hear = (message: unknown): void => void heard.push((message as { error: Error }).error.message)
    subscribe('holdfast:listener.error', hear)
    const policy = noting()
    const fails = (message: IncomingMessage): Promise<void> => {
      if (message.url === '/now') throw new Error('now')
      return Promise.reject(new Error('later'))
    }
    await using site = await serveSite(protect(policy, fails))
    await expect(site.ask({ path: '/now' })).resolves.toMatchObject({ status: 500 })
    await expect(site.ask({ path: '/later' })).resolves.toMatchObject({ status: 500, isReused: true })
    unsubscribe('holdfast:listener.error', hear)
    expect(heard).toEqual(['now', 'later'])
    expect(policy.ends.map(({ kind }) => kind)).toEqual(['threw', 'threw'])
  })

  it.each([undefined, null, '', 0])('answers 500 where the handler throws %j', async thrown => {
    const handler = async (): Promise<never> => await Promise.reject(thrown as unknown as Error)
    await using site = await serveSite(protect(noting(), handler))
    await expect(site.ask()).resolves.toMatchObject({ status: 500 })
    const errors: unknown[] = []
    const app = protect(noting(), handler)
    await using other = await serveSite((message, response) =>
      app(message, response, error => {
        errors.push(error)
        response.end()
      }),
    )
    await other.ask()
    expect(errors).toEqual([expect.objectContaining({ cause: thrown })])
  })

  it('asks no policy about health checks', async () => {
    await using site = await serveSite(protect(refusing(), ok, { exemptPaths: ['/healthz'] }))
    await expect(site.ask({ path: '/healthz?deep' })).resolves.toMatchObject({ status: 200 })
    await expect(site.ask({ path: '/healthz/x' })).resolves.toMatchObject({ status: 503 })
  })

  it('believes the headers of a request only where it is told', async () => {
    const policy = noting()
    const [trusts, doubts] = [protect(policy, ok, { trustHeaders: true }), protect(policy, ok)]
    await using site = await serveSite((message, response) =>
      (message.url === '/trusts' ? trusts : doubts)(message, response),
    )
    const headers = { 'x-hf-priority': 'critical', 'x-hf-deadline-ms': '60000' }
    for (const path of ['/trusts', '/doubts']) await site.ask({ path, headers })
    expect(policy.calls.map(({ priority, deadlineMs }) => [priority, deadlineMs < Infinity])).toEqual([
      ['critical', true],
      ['normal', false],
    ])
  })

  it('answers 400 to a key that is none, and 500 where `key` throws', async () => {
    const key = ({ headers, url }: IncomingMessage): string | undefined => {
      if (url === '/throws') throw new Error('no key')
      return headers['x-tenant'] as string | undefined
    }
    await using site = await serveSite(protect(noting(), ok, { key }))
    await expect(site.ask({ headers: { 'x-tenant': 'x'.repeat(201) } })).resolves.toMatchObject({ status: 400 })
    await expect(site.ask({ path: '/throws' })).resolves.toMatchObject({ status: 500 })
    await expect(site.ask()).resolves.toMatchObject({ status: 200 })
  })

  it('is answered by a policy in place of the handler', async () => {
    const instead = answering({ status: 200, headers: { 'x-from': 'fallback' }, body: 'reduced' })
    await using site = await serveSite(protect(pipeline(instead, refusing()), ok))
    await expect(site.ask()).resolves.toMatchObject({ status: 200, headers: { 'x-from': 'fallback' }, body: 'reduced' })
  })

  it.each([
    ['a status that is none', { status: 99_999 }],
    ['a header of two lines', { status: 200, headers: { a: 'b\r\nc: d' } }],
    ['a body that is no text', { status: 200, body: Object.create(null) as unknown }],
  ])('answers 500 where a policy answers %s, and reports it', async (_what, value) => {
    const reported: unknown[] = []
    const report = (message: unknown): void => void reported.push(message)
    subscribe('holdfast:listener.error', report)
    try {
      await using site = await serveSite(protect(pipeline(answering(value), refusing()), ok))
      await expect(site.ask()).resolves.toMatchObject({ status: 500 })
      expect(reported).toHaveLength(1)
    } finally {
      unsubscribe('holdfast:listener.error', report)
    }
  })

  it('runs once, even if a policy tries again', async () => {
    let runs = 0
    const failing = (_request: IncomingMessage, response: ServerResponse): void => {
      runs += 1
      response.statusCode = 500
      response.end('bad')
    }
    const policy = trying(3)
    await using site = await serveSite(protect(policy, failing))
    await expect(site.ask()).resolves.toMatchObject({ status: 500, body: 'bad' })
    await until(() => policy.seen.length === 3)
    expect(runs).toBe(1)
  })

  it('refuses 100 uploads at once without an error of a socket', async () => {
    await using site = await serveSite(protect(refusing(), ok))
    const statuses = await Promise.all(
      Array.from(
        { length: 100 },
        async () => (await fetch(`http://127.0.0.1:${site.port}`, { method: 'POST', body: 'x'.repeat(5_000) })).status,
      ),
    )
    expect(new Set(statuses)).toEqual(new Set([503]))
  })
})

describe('Express under a policy', () => {
  async function expressSite(prepare: (app: App) => void): ReturnType<typeof serveSite> {
    const app = express()
    prepare(app)
    app.use((error: Error, _request: IncomingMessage, response: ServerResponse, _next: NextFunction) => {
      response.statusCode = 500
      response.end(`handled: ${error.message}`)
    })
    return await serveSite(app)
  }

  it('as a middleware lets requests through, and counts how they end', async () => {
    const policy = noting()
    await using site = await expressSite(app => {
      app.use(protect(policy))
      app.get('/ok', ok)
      app.get('/bad', () => {
        throw new Error('of the handler')
      })
    })
    await expect(site.ask({ path: '/ok' })).resolves.toMatchObject({ status: 200, body: 'well' })
    await expect(site.ask({ path: '/bad' })).resolves.toMatchObject({ status: 500, body: 'handled: of the handler' })
    await expect(site.ask({ path: '/nowhere' })).resolves.toMatchObject({ status: 404, isReused: true })
    await until(() => policy.ends.length === 3)
    expect(policy.ends.map(({ kind }) => kind)).toEqual(['returned', 'threw', 'returned'])
  })

  it('as a middleware refuses, but for exempt paths, mounted ones as well', async () => {
    await using site = await expressSite(app => {
      app.use(
        '/api',
        protect(refusing({ reason: 'rate-limited', limit: 5, periodMs: 1_000 }), { exemptPaths: ['/api/healthz'] }),
      )
      app.get('/api/healthz', ok)
      app.get('/api/x', ok)
    })
    await expect(site.ask({ path: '/api/healthz' })).resolves.toMatchObject({ status: 200 })
    const refused = await site.ask({ path: '/api/x' })
    expect(refused).toMatchObject({
      status: 429,
      headers: { 'ratelimit-policy': '"limit";q=5;w=1', ratelimit: '"limit";r=0' },
    })
  })

  it('around one handler gives its errors to `next`, and those of policies an answer', async () => {
    const policy = noting()
    const fails = (): Promise<never> => Promise.reject(new Error('of the handler'))
    await using site = await expressSite(app => {
      app.get('/bad', protect(policy, fails))
      app.get(
        '/on',
        protect(policy, (_request, _response, next) => next()),
        ok,
      )
      app.get('/key', protect(policy, ok, { key: () => (JSON.parse('{') as { key: string }).key }))
    })
    await expect(site.ask({ path: '/bad' })).resolves.toMatchObject({ body: 'handled: of the handler' })
    await expect(site.ask({ path: '/on' })).resolves.toMatchObject({ body: 'well' })
    await expect(site.ask({ path: '/key' })).resolves.toMatchObject({ status: 500 })
  })
})

describe('protect', () => {
  it('refuses what is no policy, and options that nobody reads', () => {
    expect(() => protect({} as Policy, ok)).toThrow(
      'Expected the first argument of protect to be a policy, got an object.',
    )
    expect(() => protect(noting(), ok, { keys: 1 } as object)).toThrow('Unknown option `keys` of protect')
    expect(() => protect(noting(), { exemptPaths: '/x' } as object)).toThrow('Expected `exemptPaths` to be an array')
    expect(() => protect(noting(), { trustHeaders: 1 } as object)).toThrow(
      'Expected `trustHeaders` to be true or false',
    )
  })

  it('sends `Expect: 100-continue` a refusal that its client can read', async () => {
    await using site = await serveSite(protect(refusing(), ok))
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const sent = request(
        {
          host: '127.0.0.1',
          port: site.port,
          method: 'POST',
          headers: { expect: '100-continue', 'content-length': '4' },
        },
        response => {
          response.resume()
          resolve(response.statusCode)
        },
      )
      sent.on('continue', () => sent.end('body'))
      sent.on('error', reject)
      sent.flushHeaders()
    })
    expect(status).toBe(503)
  })
})
