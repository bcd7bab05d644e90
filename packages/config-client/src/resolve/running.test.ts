import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineNamespace } from '../namespace/namespace.ts'
import { encryptSecrets } from '../release/encryption.ts'
import type { JsonObject } from '../release/json.ts'
import type { ResolvedNamespace } from './resolve.ts'
import { resolveNamespace } from './resolve.ts'

const scope = { app: 'shop', env: 'test' }
const secretKeys = { k1: new Uint8Array(32).fill(1) }
const server = defineNamespace('server', {
  schema: z
    .object({
      port: z.number().default(80),
      pool: z.object({ min: z.number(), max: z.number() }).default({ min: 1, max: 5 }),
      busyMax: z.number().default(5),
      certificate: z.string().optional(),
      startedOn: z
        .string()
        .transform(text => new Date(text))
        .optional(),
      apiKey: z.string().optional(),
    })
    .refine(({ pool, busyMax }) => busyMax <= pool.max, { message: 'more busy than pooled', path: ['busyMax'] }),
  static: ['port', 'pool', 'certificate', 'startedOn'],
  secrets: ['certificate', 'apiKey'],
})
type Server = typeof server extends { readonly '~value'?: infer Value } ? NonNullable<Value> : never

function resolve(
  number: number,
  raw: JsonObject,
  staticFrom?: ResolvedNamespace<Server>,
): ReturnType<typeof resolveNamespace<Server>> {
  const about = { scope, namespace: 'server', definition: server.definition }
  const content = { namespaces: { server: encryptSecrets(raw, about, { keys: secretKeys, keyId: 'k1' }) }, options: {} }
  return resolveNamespace<Server>(server, { content, release: { number, hash: 'h' }, scope, secretKeys, staticFrom })
}

function running(number: number, raw: JsonObject, staticFrom?: ResolvedNamespace<Server>): ResolvedNamespace<Server> {
  const result = resolve(number, raw, staticFrom)
  if (result.kind === 'resolved') return result
  throw new Error(JSON.stringify(result.issues))
}

describe('static fields', () => {
  const first = running(1, { port: 80, pool: { min: 1, max: 5 }, certificate: 'pem-1', startedOn: '2026-01-01' })

  it('stay as they run, and wait for a restart', () => {
    const next = running(2, { port: 81, pool: { min: 1, max: 9 }, certificate: 'pem-2', busyMax: 3 }, first)
    expect(next.pendingRestart).toEqual(['port', 'pool', 'certificate', 'startedOn'])
    expect(next.value.busyMax).toBe(3)
    for (const field of ['port', 'pool', 'certificate', 'startedOn'] as const) {
      expect(next.value[field]).toBe(first.value[field])
    }
    expect(next.raw['port']).toBe(80)
  })

  it('come from the release that they were started with', () => {
    const next = running(2, { port: 81, pool: { min: 1, max: 9 }, busyMax: 3 }, first)
    expect(next.originOf(['port']).release?.number).toBe(1)
    expect(next.originOf(['pool', 'max']).release?.number).toBe(1)
    expect(next.originOf(['busyMax']).release?.number).toBe(2)
    // Over several releases as well.
    expect(running(3, { port: 82 }, next).originOf(['port']).release?.number).toBe(1)
  })

  it('do not keep every release that there was in memory', async () => {
    const collect = collector()
    let now = first
    const before: WeakRef<object>[] = []
    for (let number = 2; number < 10; number += 1) {
      now = running(number, { port: 81, busyMax: (number % 2) + 3 }, now)
      before.push(new WeakRef(now))
    }
    // What a WeakRef was made of, or gave, lives to the end of its job.
    await new Promise(resolve => setImmediate(resolve))
    collect()
    expect(before.slice(0, -1).filter(ref => ref.deref() !== undefined)).toEqual([])
    expect(now.originOf(['port']).release?.number).toBe(1)
  })

  it('wait no more once they are published as they run', () => {
    const next = running(2, { port: 81 }, first)
    const back = running(
      3,
      { port: 80, pool: { max: 5, min: 1 }, certificate: 'pem-1', startedOn: '2026-01-01T00:00:00Z' },
      next,
    )
    expect(back.pendingRestart).toEqual([])
    expect(running(3, { port: 80 }, next).pendingRestart).toEqual(['certificate', 'startedOn'])
  })

  it('stay missing where they were', () => {
    const bare = running(1, {})
    const next = running(2, { certificate: 'pem-1' }, bare)
    expect(next.pendingRestart).toEqual(['certificate'])
    expect(next.value).not.toHaveProperty('certificate')
  })

  it('have to go together with the new values of the others', () => {
    const result = resolve(2, { pool: { min: 1, max: 9 }, busyMax: 7 }, running(1, { pool: { min: 1, max: 5 } }))
    expect(result).toEqual({
      kind: 'invalid',
      issues: [
        {
          namespace: 'server',
          path: ['busyMax'],
          message: 'more busy than pooled (beside "pool" as it runs until a restart)',
        },
      ],
    })
  })

  it('have to be right themselves, though they are not applied', () => {
    expect(resolve(2, { port: 'x' }, first).kind).toBe('invalid')
  })
})

describe('what has not changed', () => {
  const raw = { pool: { min: 1, max: 5 }, busyMax: 2, apiKey: 'hunter2', startedOn: '2026-01-01' }
  const first = running(1, raw)

  it('is the same object, all of it', () => {
    expect(running(2, raw, first).value).toBe(first.value)
  })

  it('is the same object, field by field', () => {
    const next = running(2, { ...raw, busyMax: 3 }, first)
    expect(next.value).not.toBe(first.value)
    expect(next.value.busyMax).toBe(3)
    expect(next.value.pool).toBe(first.value.pool)
    expect(next.value.apiKey).toBe(first.value.apiKey)
  })

  it('is another object where a field has gone, or a secret is another', () => {
    expect(running(2, { ...raw, apiKey: 'hunter3' }, first).value.apiKey?.reveal()).toBe('hunter3')
    const { apiKey: _, ...without } = raw
    expect(running(2, without, first).value).not.toHaveProperty('apiKey')
  })
})

function collector(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}
