import { describe, expect, it } from 'vitest'
import type { CallOptions } from './call.ts'
import { pipeline } from './pipeline.ts'

const WRONG: readonly (readonly [object | number, string])[] = [
  [5, 'Expected the options of execute to be an object, got 5.'],
  [Promise.resolve({ idempotencyKey: 'k' }), 'Expected the options of execute to be an object, got a promise.'],
  [{ retries: 3 }, 'Unknown option `retries` of execute'],
  [{ signal: {} }, 'Expected `signal` to be an AbortSignal, got an object.'],
  [{ timeoutMs: -1 }, 'Expected `timeoutMs` to be an integer from 0'],
  [{ timeoutMs: 1.5 }, 'got 1.5'],
  [{ priority: 'urgent' }, "Expected `priority` to be one of 'critical', 'high', 'normal', 'low', 'background'"],
  [{ key: '' }, 'Expected `key` to be a name'],
  [{ cost: 0.5 }, 'Expected `cost` to be an integer'],
  [{ idempotent: 'yes' }, 'Expected `idempotent` to be true or false, got "yes".'],
  [{ idempotencyKey: 7 }, 'Expected `idempotencyKey` to be a string of 1 to 255 characters, got 7.'],
  [{ idempotencyKey: 'k'.repeat(256) }, 'a string of 1 to 255 characters'],
]

describe('the options of a call', () => {
  it.each(WRONG)('refuse %j in one sentence, as a rejection, and the work is not begun', async (options, sentence) => {
    let isBegun = false
    const run = pipeline().execute(() => void (isBegun = true), options as CallOptions)
    const [settled] = await Promise.allSettled([run])
    expect(settled).toMatchObject({ status: 'rejected', reason: { code: 'HF_INVALID_ARGUMENT' } })
    expect(String((settled as PromiseRejectedResult).reason)).toContain(sentence)
    expect(isBegun).toBe(false)
  })

  it('may be given as undefined, each of them', async () => {
    const options = { signal: undefined, timeoutMs: undefined, key: undefined, cost: undefined, priority: undefined }
    await expect(pipeline().execute(({ priority, key }) => [priority, key], options)).resolves.toEqual([
      'normal',
      undefined,
    ])
  })

  it('may be nothing but a signal', async () => {
    const reason = new Error('gone')
    const run = pipeline().execute(({ signal }) => Promise.reject(signal.reason), AbortSignal.abort(reason))
    await expect(run).rejects.toBe(reason)
  })
})
