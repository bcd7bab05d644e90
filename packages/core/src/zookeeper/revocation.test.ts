import { afterAll, describe, expect, it, vi } from 'vitest'
import { internalsOf } from './backend.ts'
import { LeaseWorld, READ, WRITE, permitOf, take, wish } from './lease-world.fixture.ts'

const world = await LeaseWorld.open()

afterAll(() => world[Symbol.asyncDispose]())

describe('A wish for revocation', () => {
  it('is what Curator writes, into the nodes of all who hold and of nobody who waits', async () => {
    const backend = world.backend()
    const name = world.name()
    await take(backend, name)
    for (let count = 0; count < 2; count++) await take(backend, name, READ)
    for (let count = 0; count < 3; count++) await take(backend, name, permitOf(3))
    const waiting = [undefined, WRITE, permitOf(3)].map(mode => backend.leases.grant(wish(backend, name, mode)))
    for (const turn of waiting) turn.catch(() => undefined)
    await vi.waitFor(async () => {
      expect(await world.children(name)).toHaveLength(7)
      expect(await world.children(name, 'locks')).toHaveLength(1)
    })
    const { revocation } = internalsOf(backend).leases
    expect(await revocation.request(name, 'exclusive')).toBe(1)
    expect(await revocation.request(name, 'read-write')).toBe(2)
    expect(await revocation.request(name, 'permits')).toBe(3)
    const texts = await Promise.all(
      [name, `${name}/locks`, `${name}/leases`].map(async directory =>
        Promise.all(
          (await world.children(directory)).map(node => world.raw.text(world.path(directory, node)).catch(() => '')),
        ),
      ),
    )
    expect(texts.map(all => all.filter(text => text === '__REVOKE__').length)).toEqual([3, 0, 3])
  })

  it('asks nobody where nobody holds', async () => {
    const { revocation } = internalsOf(world.backend()).leases
    for (const kind of ['exclusive', 'read-write', 'permits'] as const) {
      expect(await revocation.request(world.name(), kind)).toBe(0)
    }
  })

  it('is heard once by whoever listens, never before listening has returned, and not by others', async () => {
    const [backend, other] = [world.backend(), world.backend()]
    const name = world.name()
    const grant = await take(backend, name, WRITE)
    const heard: string[] = []
    internalsOf(backend).leases.revocation.listen(grant, () => heard.push('one'))
    internalsOf(backend).leases.revocation.listen(grant, () => heard.push('other'))
    internalsOf(backend).leases.revocation.listen(grant, () => heard.push('gone'))()
    internalsOf(other).leases.revocation.listen(grant, () => heard.push('stranger'))
    await internalsOf(other).leases.revocation.request(name, 'read-write')
    await vi.waitFor(() => expect([...heard].sort()).toEqual(['one', 'other']))
    await internalsOf(other).leases.revocation.request(name, 'read-write')
    // Who begins now hears of what is written already.
    internalsOf(backend).leases.revocation.listen(grant, () => heard.push('late'))
    expect(heard).not.toContain('late')
    await vi.waitFor(() => expect([...heard].sort()).toEqual(['late', 'one', 'other']))
    expect(await backend.leases.release(grant)).toBe('released')
  })

  it('that was made while the link was away is heard when it is back', async () => {
    const [backend, proxy] = await world.backendBehindProxy()
    const name = world.name()
    const grant = await take(backend, name)
    let heard = 0
    internalsOf(backend).leases.revocation.listen(grant, () => (heard += 1))
    await backend.leases.renew([{ grant, ttlMs: 60_000 }])
    proxy.refuse()
    proxy.dropConnections()
    expect(await internalsOf(world.backend()).leases.revocation.request(name, 'exclusive')).toBe(1)
    expect(heard).toBe(0)
    proxy.heal()
    await vi.waitFor(() => expect(heard).toBe(1))
  })

  it('goes unheard, and costs nothing, without a listener or after the end of the grant', async () => {
    const [backend, proxy] = await world.backendBehindProxy()
    const name = world.name()
    const first = await take(backend, name)
    let heard = 0
    proxy.resetCounts()
    internalsOf(backend).leases.revocation.listen(first, () => (heard += 1))
    expect(await backend.leases.release(first)).toBe('released')
    // The read that sets the watch, and the delete.
    expect(proxy.requests).toBe(2)
    internalsOf(backend).leases.revocation.listen(first, () => (heard += 1))
    const second = await take(backend, name)
    await internalsOf(backend).leases.revocation.request(name, 'exclusive')
    expect(await backend.leases.release(second)).toBe('released')
    expect(heard).toBe(0)
  })
})
