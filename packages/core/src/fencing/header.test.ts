import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { describe, expect, it, onTestFinished } from 'vitest'
import { memoryFence } from '../memory/index.ts'
import type { FencingMiddleware } from './header.ts'
import { fencedHandler, fencingHeader, fencingHeaders } from './header.ts'
import { FencingToken } from './token.ts'

const tokenOf = (value: bigint): Readonly<Record<string, string>> => fencingHeaders({ token: new FencingToken(value) })

describe('fencingHeaders', () => {
  it.each([
    [undefined, 'Expected a lease, or { resource, token }, got undefined.'],
    [null, 'Expected a lease, or { resource, token }, got null.'],
    [{}, 'Expected `token` to be a FencingToken, got undefined.'],
    [{ token: 5 }, 'Expected `token` to be a FencingToken, got 5.'],
  ])('refuses what has no token: %j', (given, message) => {
    const asked = (): unknown => fencingHeaders(given as unknown as { token: FencingToken })
    expect(asked).toThrow(message)
    expect(asked).toThrow(expect.objectContaining({ code: 'HF_INVALID_ARGUMENT' }))
  })
})

/** A service behind the middleware. Answers with status, code and how often the handler ran. */
async function served(middleware: FencingMiddleware) {
  let handled = 0
  const server = createServer((request, response) => {
    middleware(request, response, () => {
      handled += 1
      response.end('done')
    }).catch((error: unknown) => response.writeHead(500).end(String(error)))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  return async (headers: Record<string, string>, path = '/') => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers })
    const text = await response.text()
    return {
      status: response.status,
      handled,
      code: text.startsWith('{') ? (JSON.parse(text) as { code?: string }).code : text,
    }
  }
}

describe('fencingHeader', () => {
  it('lets the newest holder through, and refuses who is older', async () => {
    const ask = await served(fencingHeader({ fence: memoryFence(), resource: 'stock' }))
    expect(await ask(tokenOf(5n))).toEqual({ status: 200, handled: 1, code: 'done' })
    expect(await ask(tokenOf(7n))).toEqual({ status: 200, handled: 2, code: 'done' })
    expect(await ask(tokenOf(5n))).toEqual({ status: 412, handled: 2, code: 'HF_STALE_TOKEN' })
    expect(await ask(tokenOf(7n))).toMatchObject({ status: 200 })
  })

  it('tells resources apart by what the request says', async () => {
    const ask = await served(fencingHeader({ fence: memoryFence(), resource: request => `at:${request.url}` }))
    expect(await ask(tokenOf(9n), '/one')).toMatchObject({ status: 200 })
    expect(await ask(tokenOf(5n), '/other')).toMatchObject({ status: 200 })
    expect(await ask(tokenOf(5n), '/one')).toMatchObject({ status: 412 })
  })

  it('refuses a request without a token, unless it may have none', async () => {
    const strict = await served(fencingHeader({ fence: memoryFence(), resource: 'stock' }))
    expect(await strict({})).toMatchObject({ status: 428, handled: 0 })
    const lenient = await served(fencingHeader({ fence: memoryFence(), resource: 'stock', isRequired: false }))
    expect(await lenient({})).toMatchObject({ status: 200, handled: 1 })
  })

  it.each(['seven', '-1', '7, 8', '99999999999999999999999'])('refuses %j, which is no token', async text => {
    const ask = await served(fencingHeader({ fence: memoryFence(), resource: 'stock' }))
    expect(await ask({ 'fencing-token': text })).toMatchObject({ status: 400, handled: 0 })
  })

  it('answers 503 when the guard cannot say: the handler is not called', async () => {
    const fence = { raise: () => Promise.reject(new Error('the store is away')) }
    const ask = await served(fencingHeader({ fence, resource: 'stock' }))
    expect(await ask(tokenOf(1n))).toMatchObject({ status: 503, handled: 0 })
  })

  it('refuses a request that names no resource', async () => {
    const ask = await served(fencingHeader({ fence: memoryFence(), resource: request => request.url?.slice(1) ?? '' }))
    expect(await ask(tokenOf(1n), '/')).toMatchObject({ status: 400, handled: 0 })
    expect(await ask(tokenOf(1n), '/stock')).toMatchObject({ status: 200, handled: 1 })
  })

  it.each([
    [{ fence: {}, resource: 'r' }, 'fence'],
    [{ fence: memoryFence(), resource: '' }, 'resource'],
    [{ fence: memoryFence(), resource: 'r', isRequired: 'yes' }, 'isRequired'],
    [{ fence: memoryFence(), resource: 'r', header: 'x' }, 'header'],
  ])('refuses options that cannot work: %j', (options, word) => {
    expect(() => fencingHeader(options as never)).toThrow(word)
  })
})

describe('fencedHandler', () => {
  it('does the same for requests as Fetch has them', async () => {
    const handle = fencedHandler({ fence: memoryFence(), resource: 'stock' }, () => new Response('done'))
    const ask = async (headers: Record<string, string>) =>
      (await handle(new Request('http://shop/', { headers }))).status
    expect(await ask(tokenOf(7n))).toBe(200)
    expect(await ask(tokenOf(5n))).toBe(412)
    expect(await ask({})).toBe(428)
    expect(await ask({ 'fencing-token': 'x' })).toBe(400)
  })
})
