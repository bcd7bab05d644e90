import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { startCurator, startKazoo } from './peers.mjs'
import { sharedZooKeeper } from './servers.mjs'

/** @type {import('./servers.mjs').SharedZooKeeper} */
let zookeeper
/** @type {string} */
let room

beforeAll(async () => {
  zookeeper = await sharedZooKeeper()
  room = mkdtempSync(join(tmpdir(), 'holdfast-room-'))
})
afterAll(async () => {
  rmSync(room, { recursive: true, force: true })
  await zookeeper.stop()
})

describe.each([
  { name: 'Curator', start: startCurator },
  { name: 'kazoo', start: startKazoo },
])('$name', ({ name, start }) => {
  const pathOf = (/** @type {string} */ what) => `/peers-${process.pid}/${name}/${what}`

  test('holds what another of its kind then waits for in vain', async () => {
    const [one, other] = [await start(zookeeper), await start(zookeeper)]
    onTestFinished(async () => void (await Promise.all([one.stop(), other.stop()])))
    const held = await one.hold('mutex', pathOf('mutex'), 5_000)
    expect(await other.hold('mutex', pathOf('mutex'), 100)).toBeUndefined()
    await held?.free()
    expect(await other.hold('mutex', pathOf('mutex'), 5_000)).toBeDefined()
  })

  test('counts who is met inside, and can count more than none', async () => {
    const peer = await start(zookeeper)
    onTestFinished(() => peer.stop())
    expect(await peer.rounds('mutex', pathOf('rounds'), 3, room)).toBe(0)
    const intruder = join(room, 'mutex-intruder')
    writeFileSync(intruder, '')
    expect(await peer.rounds('mutex', pathOf('rounds'), 3, room)).toBe(3)
    rmSync(intruder)
  })

  test('says what went wrong, and that it has ended', async () => {
    const peer = await start(zookeeper)
    await expect(peer.hold(/** @type {any} */ ('none'), pathOf('none'), 1)).rejects.toThrow('no such kind: none')
    const waiting = peer.barrier('set', pathOf('barrier')).then(() => peer.barrier('wait', pathOf('barrier')))
    await Promise.all([expect(waiting).rejects.toThrow('The peer has ended'), peer.kill()])
  })
})
