import { UnavailableError } from '@holdfast/core'
import { memoryBackend } from '@holdfast/core/memory'
import { describe, expect, it } from 'vitest'
import type { IdempotentFetchHandler, IdempotentHttpOptions } from '../index.ts'
import { idempotentFetchHandler, requestContext } from '../index.ts'

const URL = 'http://shop.test/charges?dry=no'

function post(key: string | undefined, body = '{"amount":5}', headers: Readonly<Record<string, string>> = {}): Request {
  const keyed = key === undefined ? {} : { 'Idempotency-Key': key }
  return new Request(URL, { method: 'POST', body, headers: { ...keyed, ...headers } })
}

function serve(
  handler: (request: Request) => Response | Promise<Response>,
  options: Partial<IdempotentHttpOptions<Request>> = {},
): IdempotentFetchHandler<[]> {
  return idempotentFetchHandler(handler, { backend: memoryBackend(), ...options })
}

/** What a client sees of a response. */
async function seen(response: Response) {
  const { status, headers } = response
  return {
    status,
    body: await response.text(),
    type: headers.get('content-type'),
    replayed: headers.get('idempotency-replayed'),
  }
}

async function problem(response: Response): Promise<{ readonly status: number; readonly type: string }> {
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  return (await response.json()) as { readonly status: number; readonly type: string }
}

describe('idempotentFetchHandler', () => {
  it('processes a request with a key once, and replays its response', async () => {
    let count = 0
    const handle = serve(async request => {
      const { amount } = (await request.json()) as { readonly amount: number }
      return Response.json({ id: (count += 1), amount }, { status: 201, headers: { location: '/charges/1' } })
    })
    const first = await handle(post('"k"'))
    const again = await handle(post('k'))
    expect(await seen(first)).toMatchObject({ status: 201, body: '{"id":1,"amount":5}', replayed: null })
    expect(again.headers.get('location')).toBe('/charges/1')
    expect(await seen(again)).toMatchObject({
      status: 201,
      body: '{"id":1,"amount":5}',
      type: 'application/json',
      replayed: 'true',
    })
    expect(count).toBe(1)
  })

  it('replays every byte, and a response without a body', async () => {
    const bytes = Uint8Array.from({ length: 1_024 }, (_, index) => index % 256)
    const handle = serve(request =>
      request.headers.get('x-empty') === null ? new Response(bytes) : new Response(null, { status: 204 }),
    )
    for (let time = 0; time < 2; time += 1) {
      expect(new Uint8Array(await (await handle(post('bytes'))).arrayBuffer())).toEqual(bytes)
      expect((await handle(post('empty', '', { 'x-empty': '1' }))).status).toBe(204)
    }
  })

  it('sends cookies to the first client alone, unless they are to be kept', async () => {
    const handler = (): Response =>
      new Response('ok', {
        headers: [
          ['set-cookie', 'a=1'],
          ['set-cookie', 'b=2'],
          ['date', 'then'],
          ['x-own', 'y'],
        ],
      })
    const [handle, keeping] = [serve(handler), serve(handler, { keepCookies: true })]
    expect((await handle(post('k'))).headers.getSetCookie()).toEqual(['a=1', 'b=2'])
    const again = await handle(post('k'))
    expect([again.headers.getSetCookie(), again.headers.get('date'), again.headers.get('x-own')]).toEqual([
      [],
      null,
      'y',
    ])
    await keeping(post('k'))
    expect((await keeping(post('k'))).headers.getSetCookie()).toEqual(['a=1', 'b=2'])
  })

  it('refuses another request with the same key with 422: another body, or another query', async () => {
    const handle = serve(() => new Response('ok'))
    await handle(post('k'))
    expect(await problem(await handle(post('k', '{"amount":6}')))).toMatchObject({
      status: 422,
      type: 'urn:holdfast:problem:key-reused',
    })
    const otherQuery = new Request('http://shop.test/charges?dry=yes', post('k'))
    expect((await handle(otherQuery)).status).toBe(422)
  })

  it('keeps the keys of paths, methods and tenants apart', async () => {
    let count = 0
    const tenant = (request: Request): string | undefined => request.headers.get('x-user') ?? undefined
    const handle = serve(() => new Response(String((count += 1))), { tenant })
    const requests = [
      post('k'),
      new Request('http://shop.test/refunds', { method: 'POST', headers: { 'idempotency-key': 'k' } }),
      new Request(URL, { method: 'PATCH', headers: { 'idempotency-key': 'k' } }),
      post('k', '{}', { 'x-user': 'ann' }),
      post('k', '{}', { 'x-user': 'bob' }),
    ]
    const bodies = await Promise.all(requests.map(async request => (await handle(request)).text()))
    expect(new Set(bodies).size).toBe(5)
  })

  it.each([
    ['a promise', Promise.resolve('ann')],
    ['an object', {}],
    ['null', null],
  ])('does not take %s for a tenant: all requests would have one', async (_what, tenant) => {
    let count = 0
    const handle = serve(() => new Response(String((count += 1))), { tenant: () => tenant as never })
    await expect(handle(post('k'))).rejects.toMatchObject({ code: 'HF_INVALID_ARGUMENT', argument: 'tenant' })
    expect(count).toBe(0)
  })

  it('answers 409 with `Retry-After` while the key is at work', async () => {
    let open: () => void = () => {}
    const opened = new Promise<void>(resolve => (open = resolve))
    const handle = serve(async () => {
      await opened
      return new Response('ok')
    })
    const first = handle(post('k'))
    // Its handler is at work once the body is read.
    while (handle.policy.describe().state['inFlight'] === 0) await new Promise(resolve => setImmediate(resolve))
    const second = await handle(post('k'))
    expect(second.headers.get('retry-after')).toBe('1')
    expect(await problem(second)).toMatchObject({ status: 409, type: 'urn:holdfast:problem:in-flight' })
    open()
    expect((await first).status).toBe(200)
  })

  it('answers 400 to a key that is malformed, and to none where one is required', async () => {
    let count = 0
    const handle = serve(() => new Response(String((count += 1))), { required: 'always' })
    for (const key of [undefined, '""', 'a, b', 'x'.repeat(256)]) {
      expect(await problem(await handle(post(key)))).toMatchObject({ status: 400 })
    }
    expect(count).toBe(0)
  })

  it('lets pass what has no key, and methods that need none', async () => {
    let count = 0
    const handle = serve(() => new Response(String((count += 1))))
    await handle(post(undefined))
    await handle(post(undefined))
    const get = new Request(URL, { headers: { 'idempotency-key': 'k' } })
    await handle(get)
    await handle(get)
    expect(count).toBe(4)
  })

  it('answers 503 with `Retry-After` when the store cannot be reached, and the handler is not called', async () => {
    const { idempotency } = memoryBackend()
    const down = async (): Promise<never> => {
      throw new UnavailableError('The test says so.')
    }
    let count = 0
    const store = {
      ...idempotency,
      newOwner: () => idempotency.newOwner(),
      begin: down,
      renew: down,
      complete: down,
      release: down,
    }
    const handle = idempotentFetchHandler(() => new Response(String((count += 1))), { store })
    const response = await handle(post('k'))
    expect(response.headers.get('retry-after')).toBe('1')
    expect(await problem(response)).toMatchObject({ status: 503, type: 'urn:holdfast:problem:store-unavailable' })
    expect(count).toBe(0)
  })

  it.each([
    [200, 1],
    [400, 1],
    [422, 1],
    [500, 1],
    [502, 1],
    [401, 2],
    [403, 2],
    [429, 2],
    [503, 2],
  ])('calls the handler of a %i with the same key %i times in two requests', async (status, times) => {
    let count = 0
    const handle = serve(() => new Response(String((count += 1)), { status }))
    await handle(post('k'))
    const again = await handle(post('k'))
    expect([again.status, count]).toEqual([status, times])
  })

  it('gives the key back when the handler throws, and passes its error on, whatever that is', async () => {
    const failures: Error[] = [new Error('no'), new UnavailableError('of another store')]
    const handle = serve(() => {
      const failure = failures.shift()
      if (failure !== undefined) throw failure
      return new Response('ok')
    })
    await expect(handle(post('k'))).rejects.toThrow('no')
    await expect(handle(post('k'))).rejects.toThrow('of another store')
    expect((await handle(post('k'))).status).toBe(200)
  })

  it('sends a body that is too large to be kept, and says so to who comes again', async () => {
    let count = 0
    const chunk = new Uint8Array(100_000).fill(1)
    const handle = serve(() => {
      count += 1
      let left = 5
      return new Response(
        new ReadableStream({
          pull: controller => {
            if (left === 0) controller.close()
            else controller.enqueue(chunk)
            left -= 1
          },
        }),
      )
    })
    expect((await (await handle(post('k'))).arrayBuffer()).byteLength).toBe(500_000)
    expect(await problem(await handle(post('k')))).toMatchObject({
      status: 409,
      type: 'urn:holdfast:problem:response-not-kept',
    })
    expect(count).toBe(1)
  })

  it('answers 413 to a body that is larger than what is compared', async () => {
    const handle = serve(() => new Response('no'), { bodyBytesMax: 10 })
    expect((await handle(post('k', 'x'.repeat(11)))).status).toBe(413)
    expect((await handle(post('k', 'x'.repeat(10)))).status).toBe(200)
  })

  it('tells the handler its fence', async () => {
    const fences: (bigint | undefined)[] = []
    const handle = serve(request => {
      fences.push(requestContext(request)?.fence)
      return new Response('ok', { status: 503 })
    })
    await handle(post('k'))
    await handle(post('k'))
    expect((fences[1] ?? 0n) > (fences[0] ?? 0n)).toBe(true)
    expect(fences[0]).toBeGreaterThan(0n)
  })

  it.each([
    [{ methods: [] }, 'methods'],
    [{ methods: ['post'] }, 'methods'],
    [{ keepStatus: 500 }, 'keepStatus'],
    [{ keepCookies: 'yes' }, 'keepCookies'],
    [{ bodyBytesMax: -1 }, 'bodyBytesMax'],
    [{ tenant: 'ann' }, 'tenant'],
    [{ encode: String }, 'encode'],
    [{ backend: undefined }, 'backend'],
  ])('refuses options with %j', (options, argument) => {
    const make = (): unknown => serve(() => new Response(), options as Partial<IdempotentHttpOptions<Request>>)
    expect(make).toThrow(expect.objectContaining({ code: 'HF_INVALID_ARGUMENT', argument }))
  })
})
