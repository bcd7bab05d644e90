import { afterAll, describe, expect, it, vi } from 'vitest'
import type { FaultProxy } from '../testing/fault-proxy.ts'
import { internalsOf } from './backend.ts'
import { LeaseWorld, READ, WRITE, permitOf, take, wish } from './lease-world.fixture.ts'
import type { Operation } from './operations.ts'
import { OPCODE } from './operations.ts'

const world = await LeaseWorld.open()

afterAll(() => world[Symbol.asyncDispose]())

/** Until nothing has been sent for a while; fails when that does not come. */
async function silenceOf(proxy: FaultProxy): Promise<void> {
  let before = -1
  await vi.waitFor(
    () => {
      const isSilent = proxy.requests === before
      before = proxy.requests
      expect(isSilent).toBe(true)
    },
    { interval: 100 },
  )
}

describe('A reader and a writer', () => {
  it('have nodes as Curator makes them, in the directory of the mutex', async () => {
    const backend = world.backend()
    const name = world.name()
    const reader = await take(backend, name, READ)
    const writing = backend.leases.grant(wish(backend, name, WRITE))
    const mutex = await take(backend, name)
    await vi.waitFor(async () => expect(await world.children(name)).toHaveLength(3))
    const children = await world.children(name)
    expect(children).toContain(`_c_${reader.request.requestId}-__READ__0000000000`)
    expect(children).toContainEqual(expect.stringMatching(/^_c_[\da-f-]{36}-__WRIT__000000000[12]$/))
    await backend.leases.release(reader)
    for (const grant of [await writing, mutex]) expect(await backend.leases.release(grant)).toBe('released')
    expect(await world.children(name)).toEqual([])
  })

  it('have nodes as kazoo makes them, where the writer is a mutex', async () => {
    const backend = world.backend({ naming: 'kazoo' })
    const name = world.name()
    const reader = await take(backend, name, READ)
    expect(await world.children(name)).toEqual([`${reader.request.requestId}__rlock__0000000000`])
    await backend.leases.release(reader)
    const writer = await take(backend, name, WRITE)
    expect(await world.children(name)).toEqual([`${writer.request.requestId}__lock__0000000001`])
    expect((await backend.leases.tryGrant(wish(backend, name))).kind).toBe('held')
  })

  it('wait for those of Curator', async () => {
    const backend = world.backend()
    const name = world.name()
    const writer = await world.contend(`${name}/_c_x-__WRIT__`)
    expect((await backend.leases.tryGrant(wish(backend, name, READ))).kind).toBe('held')
    const reading = backend.leases.grant(wish(backend, name, READ))
    await world.raw.remove(writer)
    await backend.leases.release(await reading)
    await world.contend(`${name}/_c_x-__READ__`)
    expect((await backend.leases.tryGrant(wish(backend, name, WRITE))).kind).toBe('held')
    await backend.leases.release(await take(backend, name, READ))
  })

  it('wake only those who are next', async () => {
    const [[backend, proxy], holder] = [await world.backendBehindProxy(), world.backend()]
    const name = world.name()
    const first = await take(holder, name, WRITE)
    const modes = [READ, READ, READ, WRITE, READ, READ]
    const waiting = []
    for (const [index, mode] of modes.entries()) {
      waiting.push(backend.leases.grant(wish(backend, name, mode)))
      await vi.waitFor(async () => expect(await world.children(name)).toHaveLength(index + 2))
    }
    // The three readers in front share a watch, and the two behind.
    await vi.waitFor(() => expect(internalsOf(backend).sessions.current.watches.size).toBe(3))
    await silenceOf(proxy)
    proxy.resetCounts()
    await holder.leases.release(first)
    const readers = await Promise.all(waiting.slice(0, 3))
    await silenceOf(proxy)
    // Each asks for the list, the mark and the directory.
    expect(proxy.requests).toBe(9)
    for (const grant of readers) await backend.leases.release(grant)
    for (const turn of waiting.slice(3)) await backend.leases.release(await turn)
  })
})

describe("A reader's token", () => {
  it('is not moved by a writer that came and went without having held', async () => {
    const backend = world.backend()
    const name = world.name()
    await backend.leases.release(await take(backend, name, WRITE))
    const first = await take(backend, name, READ)
    expect((await backend.leases.tryGrant(wish(backend, name, WRITE))).kind).toBe('held')
    await vi.waitFor(async () => expect(await world.children(name)).toHaveLength(1))
    expect((await take(backend, name, READ)).token.value).toBe(first.token.value)
  })

  it('is that of a writer whose process ended without giving back', async () => {
    const [dead, backend] = [world.backend(), world.backend()]
    const name = world.name()
    const writer = await take(dead, name, WRITE)
    await dead.close()
    expect((await take(backend, name, READ)).token.value).toBe(writer.token.value)
  })

  it('is between those of the writers before and behind, also when the directory was deleted in between', async () => {
    for (const naming of ['curator', 'kazoo'] as const) {
      const backend = world.backend({ naming })
      const name = world.name()
      const before = await take(backend, name, WRITE)
      await backend.leases.release(before)
      await world.raw.remove(world.path(name))
      const readers = [await take(backend, name, READ), await take(backend, name, READ)]
      const [one, other] = readers.map(({ token }) => token.value)
      expect(one).toBe(other)
      expect(one).toBeGreaterThan(before.token.value)
      for (const reader of readers) await backend.leases.release(reader)
      expect((await take(backend, name, WRITE)).token.value).toBeGreaterThan(one ?? 0n)
    }
  })

  it('stands in the data of the directory, and what others keep there is not written over', async () => {
    const backend = world.backend()
    const [name, foreign] = [world.name(), world.name()]
    await world.raw.mkdirp(world.path(name))
    await world.raw.write(world.path(name), '127.0.0.1')
    const writer = await take(backend, name, WRITE)
    expect(await world.raw.text(world.path(name))).toBe(writer.token.toString())
    await world.raw.mkdirp(world.path(foreign))
    await world.raw.write(world.path(foreign), '{"mine":1}')
    await expect(take(backend, foreign, WRITE)).rejects.toMatchObject({ code: 'HF_REFUSED' })
    await backend.leases.release(await take(backend, foreign, READ))
    expect(await world.raw.text(world.path(foreign))).toBe('{"mine":1}')
    await vi.waitFor(async () => expect(await world.children(foreign)).toEqual([]))
  })

  it('costs a reader two requests more in the same round, and a writer one round more', async () => {
    const [backend, proxy] = await world.backendBehindProxy()
    const name = world.name()
    await backend.leases.release(await take(backend, name, WRITE))
    const counted = async (mode: typeof READ): Promise<number> => {
      proxy.resetCounts()
      await backend.leases.release(await take(backend, name, mode))
      return proxy.requests
    }
    expect(await counted(READ)).toBe(5)
    expect(await counted(WRITE)).toBe(5)
  })

  it('survives that the answer to the mark is lost', async () => {
    const [backend, proxy] = await world.backendBehindProxy()
    const name = world.name()
    for (let round = 0; round < 12; round++) {
      proxy.cutMidReply(round * 40)
      const writer = await take(backend, name, WRITE)
      expect(await backend.leases.release(writer)).toBe('released')
      const reader = await take(backend, name, READ)
      expect(reader.token.value).toBe(writer.token.value)
      await backend.leases.release(reader)
      expect(await world.children(name)).toEqual([])
    }
  })

  it('is of no node for a guard where readers share it', async () => {
    const backend = world.backend()
    const name = world.name()
    const { leases } = internalsOf(backend)
    const one = await take(backend, name, READ)
    const fenced = { resource: name, token: one.token }
    expect(leases.nodeOf(fenced)).toBe(world.path(name, `_c_${one.request.requestId}-__READ__0000000000`))
    await take(backend, name, READ)
    expect(leases.nodeOf(fenced)).toBeUndefined()
  })
})

describe('A downgrade', () => {
  it("makes the reader's node with the number of the writer's, as Curator does", async () => {
    for (const naming of ['curator', 'kazoo'] as const) {
      const backend = world.backend({ naming })
      const name = world.name()
      await backend.leases.release(await take(backend, name, WRITE))
      const writer = await take(backend, name, WRITE)
      const to = wish(backend, name, READ)
      const reader = await backend.leases.downgrade(writer, to)
      const mark = naming === 'curator' ? `_c_${to.requestId}-__READ__` : `${to.requestId}__rlock__`
      expect(await world.children(name)).toEqual([`${mark}0000000001`])
      expect(reader?.token.value).toBe(writer.token.value)
      expect((await backend.leases.tryGrant(wish(backend, name, WRITE))).kind).toBe('held')
      await backend.close()
      expect(await world.children(name)).toEqual([])
    }
  })

  it('is found to be done when its answer was lost', async () => {
    const [backend, proxy] = await world.backendBehindProxy()
    const name = world.name()
    for (let round = 0; round < 8; round++) {
      const writer = await take(backend, name, WRITE)
      proxy.cutMidReply(round * 8)
      const to = wish(backend, name, READ)
      const reader = await backend.leases.downgrade(writer, to)
      expect(await backend.leases.downgrade(writer, to)).toBe(reader)
      expect(await world.children(name)).toHaveLength(1)
      await (reader === undefined ? undefined : backend.leases.release(reader))
      expect(await world.children(name)).toEqual([])
    }
  })

  it('that was never answered leaves nothing once the writer gives back', async () => {
    const [backend, proxy] = await world.backendBehindProxy({ operationTimeoutMs: 300 })
    const name = world.name()
    const writer = await take(backend, name, WRITE)
    proxy.hold({ direction: 'to-client' })
    await expect(backend.leases.downgrade(writer, wish(backend, name, READ))).rejects.toMatchObject({
      code: 'HF_UNAVAILABLE',
    })
    await vi.waitFor(async () => expect((await world.children(name))[0]).toContain('__READ__'))
    proxy.heal()
    expect(await backend.leases.release(writer)).toBe('released')
    expect(await world.children(name)).toEqual([])
  })

  it('of a writer whose node somebody deleted is none, and the lease is lost', async () => {
    const backend = world.backend()
    const name = world.name()
    const writer = await take(backend, name, WRITE)
    const [node = ''] = await world.children(name)
    await world.raw.remove(world.path(name, node))
    expect(await backend.leases.downgrade(writer, wish(backend, name, READ))).toBeUndefined()
    expect(await backend.leases.renew([{ grant: writer, ttlMs: 60_000 }])).toEqual([
      { kind: 'lost', reason: 'revoked' },
    ])
    await vi.waitFor(async () => expect(await world.children(name)).toEqual([]))
  })
})

describe('A permit', () => {
  it('has nodes where Curator keeps them, and leaves the queue', async () => {
    const backend = world.backend()
    const name = world.name()
    const grant = await take(backend, name, permitOf(1))
    expect(await world.children(name, 'leases')).toEqual([`_c_${grant.request.requestId}-lease-0000000000`])
    expect(await world.children(name, 'locks')).toEqual([])
    expect(grant.slot).toBeUndefined()
    const waiting = backend.leases.grant(wish(backend, name, permitOf(1)))
    await vi.waitFor(async () =>
      expect(await world.children(name, 'locks')).toEqual([expect.stringMatching(/-lock-0000000001$/)]),
    )
    await backend.leases.release(grant)
    await backend.leases.release(await waiting)
    expect([...(await world.children(name, 'leases')), ...(await world.children(name, 'locks'))]).toEqual([])
  })

  it('has nodes where kazoo keeps them, and the number of permits above', async () => {
    const backend = world.backend({ naming: 'kazoo' })
    const name = world.name()
    const mutex = await take(backend, name)
    const grant = await take(backend, name, permitOf(2))
    expect(await world.children(name)).toContain(grant.request.requestId)
    expect(await world.raw.text(world.path(name))).toBe('2')
    expect(await world.children(`${name}-__lock__`)).toEqual([])
    // A mutex below the same node is no permit.
    await take(backend, name, permitOf(2))
    expect((await backend.leases.tryGrant(wish(backend, name, permitOf(2)))).kind).toBe('held')
    await backend.leases.release(mutex)
    const other = backend.leases.tryGrant(wish(backend, name, permitOf(3)))
    await expect(other).rejects.toMatchObject({ code: 'HF_REFUSED' })
    await expect(other).rejects.toThrow('has 2 permits, and the wish was for one of 3.')
  })

  it('counts those of Curator, and waits for them', async () => {
    const backend = world.backend()
    const name = world.name()
    await world.contend(`${name}/leases/_c_x-lease-`)
    const theirs = await world.contend(`${name}/leases/_c_y-lease-`)
    expect((await backend.leases.tryGrant(wish(backend, name, permitOf(2)))).kind).toBe('held')
    const waiting = backend.leases.grant(wish(backend, name, permitOf(2)))
    await vi.waitFor(async () => expect(await world.children(name, 'locks')).toHaveLength(1))
    await world.raw.remove(theirs)
    await backend.leases.release(await waiting)
  })

  it('is not had while somebody with another limit got in between', async () => {
    const backend = world.backend()
    const name = world.name()
    await backend.leases.release(await take(backend, name, permitOf(1)))
    const { current } = internalsOf(backend).sessions
    const run = current.run.bind(current)
    let theirs = ''
    const spy = vi.spyOn(current, 'run').mockImplementation(async <T>(operation: Operation<T>): Promise<T> => {
      const isMaking = operation.request.header.type === OPCODE.multi && theirs === ''
      if (isMaking) theirs = await world.contend(`${name}/leases/_c_x-lease-`)
      return run(operation)
    })
    expect((await backend.leases.tryGrant(wish(backend, name, permitOf(1)))).kind).toBe('held')
    await vi.waitFor(async () => expect(await world.children(name, 'leases')).toHaveLength(1))
    spy.mockClear()
    await world.raw.remove(theirs)
    theirs = ''
    let isGranted = false
    const waiting = backend.leases.grant(wish(backend, name, permitOf(1))).finally(() => (isGranted = true))
    await vi.waitFor(async () => expect(await world.children(name, 'leases')).toHaveLength(2))
    expect(isGranted).toBe(false)
    await world.raw.remove(theirs)
    await backend.leases.release(await waiting)
    expect(await world.children(name, 'leases')).toEqual([])
  })

  it('is granted to all who try at once while there are enough', async () => {
    const [one, other] = [world.backend(), world.backend()]
    const name = world.name()
    for (let round = 0; round < 10; round++) {
      const tries = [one, other, one, other].map(backend => backend.leases.tryGrant(wish(backend, name, permitOf(3))))
      const grants = (await Promise.all(tries)).flatMap(outcome => (outcome.kind === 'granted' ? [outcome.grant] : []))
      expect(grants).toHaveLength(3)
      await Promise.all([one, other].flatMap(backend => grants.map(grant => backend.leases.release(grant))))
      // Who was told that it is held takes his node back behind the answer.
      await vi.waitFor(async () => {
        expect(await world.children(name, 'leases')).toEqual([])
        expect(await world.children(name, 'locks')).toEqual([])
      })
    }
  })

  it('is found to be had when the answer was lost', async () => {
    for (const naming of ['curator', 'kazoo'] as const) {
      const [backend, proxy] = await world.backendBehindProxy({ naming })
      const name = world.name()
      await backend.leases.release(await take(backend, name, permitOf(1)))
      for (let round = 0; round < 12; round++) {
        proxy.cutMidReply(round * 40)
        const grant = await take(backend, name, permitOf(1))
        const { holders, waiters } = await backend.leases.inspect(name, 'permits')
        expect(holders.map(({ token }) => token.value)).toEqual([grant.token.value])
        expect(waiters).toEqual([])
        expect(await backend.leases.release(grant)).toBe('released')
      }
    }
  })

  it('costs nothing to wait for, and one that is given back wakes one', async () => {
    const [[backend, proxy], holder] = [await world.backendBehindProxy(), world.backend()]
    const name = world.name()
    const held = [await take(holder, name, permitOf(2)), await take(holder, name, permitOf(2))]
    const waiting = Array.from({ length: 8 }, () => backend.leases.grant(wish(backend, name, permitOf(2))))
    await vi.waitFor(() => expect(internalsOf(backend).sessions.current.watches.size).toBe(8))
    await silenceOf(proxy)
    proxy.resetCounts()
    if (held[0] !== undefined) await holder.leases.release(held[0])
    const first = await Promise.race(waiting)
    await silenceOf(proxy)
    expect(internalsOf(backend).sessions.current.watches.size).toBe(7)
    // The list, the transaction with its two reads; then the next one looks for himself: both lists, and the watch.
    expect(proxy.requests).toBe(7)
    await backend.leases.release(first)
    for (const turn of waiting) if ((await turn) !== first) await backend.leases.release(await turn)
  })
})
