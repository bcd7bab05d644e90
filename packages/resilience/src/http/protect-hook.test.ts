import { fastify } from 'fastify'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { describe, expect, it } from 'vitest'
import type { HandlerPolicy } from './protect.ts'
import type { ProtectOptions } from './options.ts'
import { requestContext } from './options.ts'
import { answering, noting, refusing, timeoutByHand } from './policies.fixture.ts'
import { pipeline } from '../pipeline.ts'
import { protectHook } from './protect-hook.ts'
import type { Site } from './server.fixture.ts'
import { siteOf } from './server.fixture.ts'

async function fastifySite(
  policy: HandlerPolicy,
  routes: (app: FastifyInstance) => void,
  options: ProtectOptions<FastifyRequest> = {},
): Promise<Site> {
  const app = fastify()
  app.addHook('onRequest', protectHook(policy, options))
  routes(app)
  await app.listen({ host: '127.0.0.1', port: 0 })
  return siteOf(app.server)
}

async function until(seen: () => boolean): Promise<void> {
  while (!seen()) await new Promise(resolve => void setImmediate(resolve))
}

describe('Fastify under a policy', () => {
  it('answers as without one, and counts how calls end', async () => {
    const policy = noting()
    await using site = await fastifySite(
      policy,
      app => {
        app.get('/ok', async request => ({ remaining: String(requestContext(request.raw)?.remainingMs) }))
        app.get('/bad', () => Promise.reject(new Error('of the route')))
      },
      { key: request => request.ip },
    )
    await expect(site.ask({ path: '/ok' })).resolves.toMatchObject({ status: 200, body: '{"remaining":"Infinity"}' })
    const bad = await site.ask({ path: '/bad' })
    expect(bad).toMatchObject({ status: 500 })
    expect(bad.body).toContain('of the route')
    await until(() => policy.ends.length === 2)
    expect(policy.ends.map(({ kind }) => kind)).toEqual(['returned', 'threw'])
    expect(policy.calls[0]?.key).toBe('127.0.0.1')
  })

  it('refuses, also with a body, and the connection can be used again; health checks are let through', async () => {
    const routes = (app: FastifyInstance): void => void app.post('/x', () => 'well').get('/healthz', () => 'well')
    await using site = await fastifySite(refusing(), routes, { exemptPaths: ['/healthz'] })
    for (const isReused of [false, true]) {
      const answer = await site.ask({ method: 'POST', path: '/x', body: Buffer.alloc(500_000) })
      expect(answer).toMatchObject({ status: 503, isReused, headers: { 'retry-after': '1' } })
      expect(answer.headers['content-type']).toContain('application/problem+json')
    }
    await expect(site.ask({ path: '/healthz' })).resolves.toMatchObject({ status: 200, isReused: true })
  })

  it('answers 504 when a timeout ends the call, and what the route replies after that is dropped', async () => {
    const policy = timeoutByHand()
    await using site = await fastifySite(policy, app => {
      app.get('/', async (_request, reply) => {
        policy.fire()
        await new Promise(resolve => void setImmediate(resolve))
        return reply.sent ? 'too late' : 'in time'
      })
    })
    await expect(site.ask()).resolves.toMatchObject({ status: 504 })
    await expect(site.ask()).resolves.toMatchObject({ status: 504, isReused: true })
  })

  it('is answered by a policy in place of the route, by 400 to a key that is none, and by 500 where `key` throws', async () => {
    const policy = pipeline(answering({ status: 200, body: 'reduced' }), refusing())
    const key = ({ url }: FastifyRequest): string => {
      if (url === '/throws') throw new Error('no key')
      return url.slice(1)
    }
    await using site = await fastifySite(policy, app => void app.get('/*', () => 'well'), { key })
    await expect(site.ask({ path: '/a' })).resolves.toMatchObject({ status: 200, body: 'reduced' })
    await expect(site.ask({ path: '/' })).resolves.toMatchObject({ status: 400 })
    await expect(site.ask({ path: '/throws' })).resolves.toMatchObject({ status: 500 })
  })
})
