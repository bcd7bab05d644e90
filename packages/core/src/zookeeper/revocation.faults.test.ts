// Wishes for revocation while links, sessions and answers are lost.
import { setTimeout as sleep } from 'node:timers/promises'
import type { ZooKeeperServer } from '@holdfast/scripts/servers'
import { startZooKeeper } from '@holdfast/scripts/servers'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { acquireLease } from '../lease/acquire.ts'
import type { Lease } from '../lease/lease.ts'
import { requestRevocation } from '../lease/revocation.ts'
import type { LeaseMode } from '../ports/leases.ts'
import { kindOf } from '../ports/leases.ts'
import type { FaultProxy } from '../testing/fault-proxy.ts'
import { createFaultProxy } from '../testing/fault-proxy.ts'
import { internalsOf } from './backend.ts'
import { keepCutting } from './cutting.fixture.ts'
import { OperationError } from './errors.ts'
import type { ZooKeeperBackend, ZooKeeperBackendOptions } from './index.ts'
import { zookeeperBackend } from './index.ts'

let server: ZooKeeperServer
let names = 0

beforeAll(async () => {
  server = await startZooKeeper({ tickTime: 200, minSessionTimeoutMs: 400 })
})

afterAll(() => server.stop())

async function behindProxy(
  options: Partial<ZooKeeperBackendOptions> = {},
): Promise<readonly [ZooKeeperBackend, FaultProxy]> {
  const proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: server.port }, protocol: 'zookeeper' })
  onTestFinished(() => proxy.close())
  const backend = zookeeperBackend({ connect: proxy.connectString, sessionTimeoutMs: 12_000, ...options })
  onTestFinished(() => backend.close())
  await backend.ready({ timeoutMs: 60_000 })
  return [backend, proxy]
}

interface Held {
  readonly lease: Lease
  readonly proxy: FaultProxy
  /** How often it was asked. */
  readonly heard: () => number
  /** Resolves once all that was told before has come over its connection. */
  readonly settled: () => Promise<unknown>
}

/** Held by one who listens, whose watch is set. */
async function held(name: string, mode?: LeaseMode, options?: Partial<ZooKeeperBackendOptions>): Promise<Held> {
  const [backend, proxy] = await behindProxy(options)
  const lease = await acquireLease(backend, name, {}, mode)
  let heard = 0
  lease.onRevoke(() => (heard += 1))
  // Asked later than the watch, over the same connection.
  const settled = (): Promise<unknown> => backend.leases.inspect(name)
  await settled()
  return { lease, proxy, heard: () => heard, settled }
}

function newName(): string {
  names += 1
  return `asked${names}`
}

const MODES = [
  ['a mutex', undefined],
  ['a reader', { kind: 'read' }],
  ['a writer', { kind: 'write' }],
  ['a permit', { kind: 'permit', limit: 2 }],
] as const

describe.each(MODES)('The holder of %s', (_, mode) => {
  it('hears once of a wish that was made while it was cut off', async () => {
    const [[asker], name] = [await behindProxy(), newName()]
    const { lease, proxy, heard, settled } = await held(name, mode)
    proxy.refuse()
    proxy.dropConnections()
    expect(await requestRevocation(asker, name, kindOf(mode))).toBe(1)
    await sleep(200)
    expect(heard()).toBe(0)
    proxy.heal()
    await vi.waitFor(() => expect(heard()).toBe(1))
    lease.assertHeld()
    await settled()
    expect(heard()).toBe(1)
    expect(await lease.release()).toBe('released')
  })

  it('hears once of a wish whose notice was lost with the connection', async () => {
    const [[asker], name] = [await behindProxy(), newName()]
    const { lease, proxy, heard } = await held(name, mode)
    // The server has told of it, and takes its watch for done.
    proxy.hold({ direction: 'to-client' })
    expect(await requestRevocation(asker, name, kindOf(mode))).toBe(1)
    await sleep(100)
    expect(heard()).toBe(0)
    proxy.dropConnections()
    proxy.heal()
    await vi.waitFor(() => expect(heard()).toBe(1))
    expect(await lease.release()).toBe('released')
  })
})

describe('A holder', () => {
  it('whose link breaks again and again hears once of each wish', async () => {
    const [[asker], [backend, proxy]] = [await behindProxy(), await behindProxy()]
    onTestFinished(keepCutting(backend, proxy, 40))
    for (let round = 0; round < 15; round += 1) {
      const lease = await acquireLease(backend, `cut${round}`, {})
      let heard = 0
      lease.onRevoke(() => (heard += 1))
      await sleep((round * 7) % 40)
      expect(await requestRevocation(asker, lease.resource)).toBe(1)
      await vi.waitFor(() => expect(heard).toBe(1))
      expect(await lease.release()).toBe('released')
      expect(heard).toBe(1)
    }
  })

  it('whose session has ended is not asked and hears nothing, nor does the next', async () => {
    const [[asker], name] = [await behindProxy(), newName()]
    const { lease, proxy, heard } = await held(name, undefined, { sessionTimeoutMs: 3_000 })
    proxy.refuse()
    proxy.dropConnections()
    // The server still lists it.
    expect(await requestRevocation(asker, name)).toBe(1)
    const next = await acquireLease(asker, name, { waitMs: 60_000 })
    const nextHeard = vi.fn<() => void>()
    next.onRevoke(nextHeard)
    proxy.heal()
    await vi.waitFor(() => expect(lease.signal.aborted).toBe(true))
    await asker.leases.inspect(name)
    await sleep(200)
    expect([heard(), nextHeard.mock.calls.length]).toEqual([0, 0])
    expect(await requestRevocation(asker, name)).toBe(1)
    await vi.waitFor(() => expect(nextHeard).toHaveBeenCalledOnce())
    expect(heard()).toBe(0)
    await next.release()
    expect(await requestRevocation(asker, name)).toBe(0)
  })
})

describe('Who asks', () => {
  it.each(MODES)(
    '%s asks again when the connection broke before the answer, and each holder hears once',
    async (_, mode) => {
      const [[asker], name] = [await behindProxy(), newName()]
      const { lease, heard, settled } = await held(name, mode)
      const session = internalsOf(asker).sessions.current
      const run = session.run.bind(session)
      let lost = 0
      vi.spyOn(session, 'run').mockImplementation(async operation => {
        const answer = await run(operation)
        if (operation.isWrite !== true || lost > 0) return answer
        lost += 1
        throw new OperationError({ kind: 'cut' })
      })
      expect(await requestRevocation(asker, name, kindOf(mode))).toBe(1)
      expect(lost).toBe(1)
      await vi.waitFor(() => expect(heard()).toBe(1))
      await settled()
      expect(heard()).toBe(1)
      await lease.release()
    },
  )

  it('asks also when every connection lives only for a moment', async () => {
    const [[asker, proxy], name] = [await behindProxy(), newName()]
    const { lease, heard } = await held(name)
    onTestFinished(keepCutting(asker, proxy, 30))
    for (let round = 0; round < 20; round += 1) expect(await requestRevocation(asker, name)).toBe(1)
    expect(heard()).toBe(1)
    await lease.release()
  })

  it('while nobody can be reached is told so, and has asked nobody', async () => {
    const [[asker, proxy], name] = [await behindProxy({ operationTimeoutMs: 1_000 }), newName()]
    const { lease, heard } = await held(name)
    proxy.refuse()
    proxy.dropConnections()
    await expect(requestRevocation(asker, name)).rejects.toMatchObject({ code: 'HF_UNAVAILABLE' })
    proxy.heal()
    await asker.ready({ timeoutMs: 60_000 })
    await sleep(100)
    expect(heard()).toBe(0)
    await lease.release()
  })
})
