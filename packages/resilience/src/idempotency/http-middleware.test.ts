import { createRequire } from 'node:module'
import { createServer, request as send } from 'node:http'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { IdempotencyStore } from '@holdfast/core'
import { memoryBackend } from '@holdfast/core/memory'
import fastify from 'fastify'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { IdempotentHttpOptions } from '../index.ts'
import { idempotencyMiddleware, pipeline as policies, protect, requestContext } from '../index.ts'

/** As much of Express, which has no types of its own, as the tests use. */
type App = RequestListener & {
  use(...middlewares: readonly unknown[]): void
  post(path: string, handler: (request: IncomingMessage & { readonly body?: unknown }, response: Reply) => void): void
}
interface Reply extends ServerResponse {
  status(status: number): this
  cookie(name: string, value: string): this
  json(body: unknown): void
  send(body: string): void
}
const express = createRequire(import.meta.url)('express') as (() => App) & { json(): unknown }

type Handler = (request: IncomingMessage, response: ServerResponse) => unknown

async function listening(server: Server): Promise<string> {
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A bare server with one handler. */
async function serve(handler: Handler, options: Partial<IdempotentHttpOptions<IncomingMessage>> = {}) {
  const once = idempotencyMiddleware({ backend: memoryBackend(), ...options })
  const errors: unknown[] = []
  const server = createServer((request, response) => {
    response.setHeader('x-request-id', String(request.headers['x-request-id'] ?? ''))
    once(request, response, () => handler(request, response)).catch((error: unknown) => {
      errors.push(error)
      if (!response.headersSent) response.writeHead(500).end('failed')
    })
  })
  return { url: await listening(server), errors, policy: once.policy }
}

function post(url: string, key = 'k', body: string | null = '{"amount":5}', headers = {}): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    body,
    headers: { 'idempotency-key': key, 'content-type': 'application/json', ...headers },
  })
}

async function bodyText(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) text += String(chunk)
  return text
}

async function untilInFlight(policy: {
  describe(): { readonly state: Readonly<Record<string, unknown>> }
}): Promise<void> {
  while (policy.describe().state['inFlight'] === 0) await new Promise(resolve => setImmediate(resolve))
}

describe('idempotencyMiddleware on node:http', () => {
  it('processes a request once, with its body whole, and replays the response byte for byte', async () => {
    let count = 0
    const { url } = await serve(async (request, response) => {
      const text = await bodyText(request)
      response.writeHead(201, { 'Content-Type': 'text/plain', 'X-Own': 'yes' })
      response.write(`${(count += 1)} `)
      response.write(Buffer.from(text))
      response.end('!')
    })
    const first = await post(url, '"k"', 'a body', { 'x-request-id': 'one' })
    const again = await post(url, 'k', 'a body', { 'x-request-id': 'two' })
    expect([first.status, await first.text(), first.headers.get('idempotency-replayed')]).toEqual([
      201,
      '1 a body!',
      null,
    ])
    expect([again.status, await again.text(), again.headers.get('idempotency-replayed')]).toEqual([
      201,
      '1 a body!',
      'true',
    ])
    expect(again.headers.get('x-own')).toBe('yes')
    // What was set before the handler is of each request.
    expect([first.headers.get('x-request-id'), again.headers.get('x-request-id')]).toEqual(['one', 'two'])
    expect(count).toBe(1)
  })

  it.each([
    ['in one piece', 'x'.repeat(200_000)],
    ['none', ''],
  ])('gives the handler the body, %s', async (_what, body) => {
    const { url } = await serve(
      async (request, response) => void response.end(String((await bodyText(request)).length)),
    )
    expect(await (await post(url, 'k', body)).text()).toBe(String(body.length))
  })

  it('gives the handler a body that comes in chunks, one by one', async () => {
    const { url } = await serve(async (request, response) => void response.end(await bodyText(request)))
    const answered = new Promise<string>((resolve, reject) => {
      const outgoing = send(url, {
        method: 'POST',
        headers: { 'idempotency-key': 'k', 'transfer-encoding': 'chunked' },
      })
      outgoing.on('response', response => void bodyText(response).then(resolve, reject))
      outgoing.on('error', reject)
      outgoing.write('one ', () => setImmediate(() => outgoing.write('two ', () => setImmediate(() => outgoing.end()))))
    })
    expect(await answered).toBe('one two ')
  })

  it('answers 409 while the handler is at work, and 422 to another body', async () => {
    let open: () => void = () => {}
    const opened = new Promise<void>(resolve => (open = resolve))
    const { url, policy } = await serve(async (_request, response) => {
      await opened
      response.end('ok')
    })
    const first = post(url)
    await untilInFlight(policy)
    const second = await post(url)
    expect([second.status, second.headers.get('retry-after')]).toEqual([409, '1'])
    open()
    expect(await (await first).text()).toBe('ok')
    expect((await post(url, 'k', 'another')).status).toBe(422)
  })

  it('goes on when the client is gone, and who comes again has the response', async () => {
    let open: () => void = () => {}
    const opened = new Promise<void>(resolve => (open = resolve))
    let count = 0
    const { url, policy } = await serve(async (_request, response) => {
      await opened
      response.end(`done ${(count += 1)}`)
    })
    const abort = new AbortController()
    const gone = fetch(url, { method: 'POST', headers: { 'idempotency-key': 'k' }, signal: abort.signal }).catch(
      () => 'gone',
    )
    await untilInFlight(policy)
    abort.abort()
    expect(await gone).toBe('gone')
    open()
    let response = await post(url, 'k', null)
    while (response.status === 409) response = await post(url, 'k', null)
    expect(await response.text()).toBe('done 1')
  })

  it('gives the key back when the handler throws, or destroys the response, and passes the error on', async () => {
    let count = 0
    const { url, errors } = await serve((_request, response) => {
      count += 1
      if (count === 1) throw new Error('thrown')
      if (count === 2) return Promise.reject(new Error('rejected'))
      if (count === 3) return response.destroy(new Error('destroyed'))
      return response.end('ok')
    })
    expect((await post(url)).status).toBe(500)
    expect((await post(url)).status).toBe(500)
    await expect(post(url)).rejects.toThrow('fetch failed')
    expect(await (await post(url)).text()).toBe('ok')
    expect(errors.map(error => (error as Error).message)).toEqual(['thrown', 'rejected', 'destroyed'])
  })

  it('sends a large body as it comes, with back-pressure, and says to who comes again that it was not kept', async () => {
    let count = 0
    const { url } = await serve(async (_request, response) => {
      count += 1
      const chunks = Array.from({ length: 64 }, (_, index) => Buffer.alloc(32 * 1024, index))
      await pipeline(Readable.from(chunks), response)
    })
    const first = Buffer.from(await (await post(url)).arrayBuffer())
    expect([first.length, first[0], first.at(-1)]).toEqual([64 * 32 * 1024, 0, 63])
    const again = await post(url)
    expect([again.status, count]).toEqual([409, 1])
  })

  it('tells the handler that it has answered once it has, and its callbacks run', async () => {
    const seen: unknown[] = []
    const { url } = await serve((_request, response) => {
      seen.push(response.headersSent)
      response.write('a', () => seen.push('written'))
      seen.push(response.headersSent, response.writableEnded)
      response.end('b', () => seen.push('ended'))
      seen.push(response.writableEnded)
    })
    expect(await (await post(url)).text()).toBe('ab')
    expect(seen).toEqual([false, true, false, true, 'written', 'ended'])
  })

  it('tells the handler its fence, which grows', async () => {
    const fences: bigint[] = []
    const { url } = await serve((request, response) => {
      fences.push(requestContext(request)?.fence ?? 0n)
      response.writeHead(503).end()
    })
    await post(url)
    await post(url)
    expect((fences[1] ?? 0n) > (fences[0] ?? 0n)).toBe(true)
    expect(fences).toHaveLength(2)
  })

  it('is a part of the call that `protect` makes of the request, and goes on when that is given up', async () => {
    const once = idempotencyMiddleware({ backend: memoryBackend() })
    const fences: (bigint | undefined)[] = []
    let open: () => void = () => {}
    const opened = new Promise<void>(resolve => (open = resolve))
    const serveOnce = (request: IncomingMessage, response: ServerResponse): Promise<void> =>
      once(request, response, async () => {
        fences.push(requestContext(request)?.fence)
        await opened
        response.end('done')
      })
    const url = await listening(createServer(protect(policies(), serveOnce)))
    const abort = new AbortController()
    const options = { method: 'POST', headers: { 'idempotency-key': 'k' }, signal: abort.signal }
    const gone = fetch(url, options).catch(() => 'gone')
    await untilInFlight(once.policy)
    abort.abort()
    expect(await gone).toBe('gone')
    open()
    let response = await post(url, 'k', null)
    while (response.status === 409) response = await post(url, 'k', null)
    expect([await response.text(), response.headers.get('idempotency-replayed')]).toEqual(['done', 'true'])
    expect(fences).toHaveLength(1)
    expect(fences[0]).toBeGreaterThan(0n)
  })

  it('keeps no status that none is: the handler hears of it, and the key is given back', async () => {
    const statuses: unknown[] = [0, 99_999, '201']
    const site = await serve((_request, response) => {
      response.statusCode = statuses.shift() as number
      response.end('made')
    })
    expect((await post(site.url)).status).toBe(500)
    expect((await post(site.url)).status).toBe(500)
    for (let count = 0; count < 2; count += 1) expect((await post(site.url)).status).toBe(201)
    expect(site.errors.map(error => (error as Error).name)).toEqual(['RangeError', 'RangeError'])
  })

  it('sends and keeps the same where a handler writes on after the end', async () => {
    const heard: unknown[] = []
    const site = await serve((_request, response) => {
      response.end('whole')
      response.write(' and more', error => heard.push(error))
      response.end('!')
    })
    for (let count = 0; count < 2; count += 1) expect(await (await post(site.url)).text()).toBe('whole')
    expect(heard).toEqual([expect.any(Error)])
  })

  it('gives the key back where the client went while the key was asked for, and the handler never answers', async () => {
    const { idempotency } = memoryBackend()
    if (idempotency === undefined) throw new Error('It has none.')
    let isGone = (): void => {}
    const gone = new Promise<void>(resolve => (isGone = resolve))
    const store: IdempotencyStore = {
      newOwner: () => idempotency.newOwner(),
      begin: async asked => {
        sent.destroy()
        await gone
        return await idempotency.begin(asked)
      },
      renew: async (run, leaseMs) => await idempotency.renew(run, leaseMs),
      complete: async (run, result) => await idempotency.complete(run, result),
      release: async run => await idempotency.release(run),
    }
    const once = idempotencyMiddleware({ store })
    const served: Promise<void>[] = []
    const server = createServer((request, response) => {
      response.once('close', isGone)
      // To whom?
      served.push(once(request, response, async () => {}))
    })
    const sent = send(await listening(server), { method: 'POST', headers: { 'idempotency-key': 'k' } })
    sent.on('error', () => {})
    sent.end()
    await gone
    await expect(served[0]).rejects.toThrow('The client is gone')
    expect(once.policy.describe().state['inFlight']).toBe(0)
  })

  it('has nothing to say of a client that goes before it has sent the whole request', async () => {
    const once = idempotencyMiddleware({ backend: memoryBackend() })
    const served: Promise<void>[] = []
    let isCalled = false
    const server = createServer((request, response) => {
      const handled = once(request, response, () => void (isCalled = true))
      served.push(handled)
      request.once('readable', () => sent.destroy())
    })
    const url = await listening(server)
    const sent = send(url, { method: 'POST', headers: { 'idempotency-key': 'k', 'content-length': '100' } })
    sent.on('error', () => {})
    sent.write('half of it')
    while (served.length === 0) await new Promise(resolve => void setImmediate(resolve))
    await expect(served[0]).resolves.toBeUndefined()
    expect(isCalled).toBe(false)
  })

  it('answers 413 to a body that is larger than what is compared, and 400 to two keys', async () => {
    const { url } = await serve((_request, response) => response.end('no'), { bodyBytesMax: 10 })
    expect((await post(url, 'k', 'x'.repeat(11))).status).toBe(413)
    expect((await post(url, 'a, b')).status).toBe(400)
  })
})

describe('idempotencyMiddleware in Express', () => {
  it.each([['before the parser of bodies'], ['behind it']])('processes a request once, %s', async where => {
    const app = express()
    let count = 0
    const once = idempotencyMiddleware({ backend: memoryBackend() })
    const middlewares = [express.json(), once] as const
    app.use('/shop', ...(where === 'behind it' ? middlewares : [...middlewares].reverse()))
    app.post('/shop/charges', (request, response) => {
      const { amount } = request.body as { readonly amount: number }
      response
        .status(201)
        .cookie('session', 'x')
        .json({ id: (count += 1), amount })
    })
    const url = `${await listening(createServer(app))}/shop/charges`
    const first = await post(url)
    const again = await post(url)
    expect(await first.json()).toEqual({ id: 1, amount: 5 })
    expect(first.headers.getSetCookie()).toHaveLength(1)
    expect([again.status, again.headers.get('idempotency-replayed'), again.headers.getSetCookie()]).toEqual([
      201,
      'true',
      [],
    ])
    expect(await again.json()).toEqual({ id: 1, amount: 5 })
    expect(again.headers.get('etag')).toBe(first.headers.get('etag'))
    expect((await post(url, 'k', '{"amount":6}')).status).toBe(422)
  })

  it('keeps the 500 that Express makes of an error, and lets an error handler answer', async () => {
    const app = express()
    let count = 0
    app.use(idempotencyMiddleware({ backend: memoryBackend() }))
    app.post('/', () => {
      throw new Error(`failed ${(count += 1)}`)
    })
    app.use((error: Error, _request: unknown, response: Reply, _next: unknown) => {
      response.status(500).send(error.message)
    })
    const url = await listening(createServer(app))
    const responses = [await post(url), await post(url)]
    expect(await Promise.all(responses.map(response => response.text()))).toEqual(['failed 1', 'failed 1'])
    expect(responses.map(({ status }) => status)).toEqual([500, 500])
  })
})

describe('idempotencyMiddleware in Fastify', () => {
  it('processes a request once, as an `onRequest` hook', async () => {
    const app = fastify()
    onTestFinished(() => app.close())
    let count = 0
    const once = idempotencyMiddleware({ backend: memoryBackend() })
    app.addHook('onRequest', (request, reply, done) => void once(request.raw, reply.raw, done))
    app.post('/charges', async (request, reply) => {
      const { amount } = request.body as { readonly amount: number }
      return await reply.code(201).send({ id: (count += 1), amount })
    })
    const url = `${await app.listen({ port: 0, host: '127.0.0.1' })}/charges`
    const first = await post(url)
    const again = await post(url)
    expect([first.status, await first.json()]).toEqual([201, { id: 1, amount: 5 }])
    expect([again.status, await again.json()]).toEqual([201, { id: 1, amount: 5 }])
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    expect((await post(url, 'k', '{"amount":6}')).status).toBe(422)
  })
})
