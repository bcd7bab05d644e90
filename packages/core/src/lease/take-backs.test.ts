import { describe, expect, it } from 'vitest'
import type { LeaseRequest } from '../ports/leases.ts'
import { SimulatedClock } from '../testing/index.ts'
import { TakeBacks } from './take-backs.ts'

const REQUEST: LeaseRequest = { resource: 'r', requestId: 'p.1', ttlMs: 1_000, allowProvisional: true, meta: '{}' }

/** Takes back a request whose question is answered while the release is on its way. Says how often it was released. */
async function releases(mayOvertake: boolean): Promise<number> {
  let count = 0
  let answer = (): void => {}
  const asked = new Promise<void>(resolve => (answer = resolve))
  const takeBacks = new TakeBacks({
    clock: new SimulatedClock(),
    release: async () => {
      count += 1
      answer()
      await asked
      await Promise.resolve()
    },
    patienceMsOf: () => 1_000,
    mayOvertake,
    isClosed: () => false,
  })
  takeBacks.start(REQUEST, asked)
  await takeBacks.idle()
  return count
}

describe('A request that is taken back', () => {
  it('is released once where the server hears things in the order in which they were sent', async () => {
    expect(await releases(false)).toBe(1)
  })

  it('is released again where its question may have come after the release (seen in PostgreSQL, under load)', async () => {
    expect(await releases(true)).toBe(2)
  })

  it('is released once when it was never asked', async () => {
    let count = 0
    const takeBacks = new TakeBacks({
      clock: new SimulatedClock(),
      release: async () => (count += 1),
      patienceMsOf: () => 1_000,
      mayOvertake: true,
      isClosed: () => false,
    })
    takeBacks.start(REQUEST, undefined)
    await takeBacks.idle()
    expect(count).toBe(1)
  })
})
