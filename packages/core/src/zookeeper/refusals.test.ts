import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { BackendLifecycle } from '../backend.ts'
import { systemClock } from '../clock.ts'
import { systemRandom } from '../random.ts'
import { SimulatedClock } from '../testing/simulated-clock.ts'
import { FakeServer } from './fake-server.fixture.ts'
import { getChildren } from './operations.ts'
import { checkOptions } from './options.ts'
import type { AttemptEnd } from './refusals.ts'
import { Refusals } from './refusals.ts'
import { Sessions } from './sessions.ts'

const TIMEOUT_MS = 1_000
const SESSION_MS = 1_000
const one = { host: 'one', port: 2181 }
const other = { host: 'other', port: 2181 }

/** Whether they are final after attempts at both servers, one every 100 ms. */
async function areFinalAfter(
  lastMs: number,
  endOf: (server: typeof one, atMs: number) => AttemptEnd,
): Promise<boolean> {
  const clock = new SimulatedClock()
  const refusals = new Refusals(clock, [one, other])
  await clock.advance(5_000)
  refusals.disconnected()
  for (let atMs = 0; ; atMs += 100) {
    for (const server of [one, other]) refusals.failed(server, endOf(server, atMs))
    if (atMs >= lastMs) return refusals.areFinal(TIMEOUT_MS)
    await clock.advance(100)
  }
}

describe('Refusals', () => {
  it('are final once all servers have refused for a session timeout, after one without a connection', async () => {
    expect(await areFinalAfter(1_900, () => 'refused')).toBe(false)
    expect(await areFinalAfter(2_000, () => 'refused')).toBe(true)
  })

  it('are not final while one server cannot be reached, however long', async () => {
    expect(await areFinalAfter(60_000, server => (server === one ? 'refused' : 'unreachable'))).toBe(false)
  })

  it('are counted anew after a server could not be reached', async () => {
    const endOf = (_: typeof one, atMs: number): AttemptEnd => (atMs === 1_500 ? 'unreachable' : 'refused')
    expect(await areFinalAfter(2_500, endOf)).toBe(false)
    expect(await areFinalAfter(2_600, endOf)).toBe(true)
  })

  it('are not final because time has passed without attempts', async () => {
    const clock = new SimulatedClock()
    const refusals = new Refusals(clock, [one])
    refusals.failed(one, 'refused')
    await clock.advance(60_000)
    refusals.failed(one, 'refused')
    expect(refusals.areFinal(TIMEOUT_MS)).toBe(false)
    refusals.failed(one, 'refused')
    expect(refusals.areFinal(TIMEOUT_MS)).toBe(true)
  })
})

const SEEN = 1n

/** Sessions with fake servers that have seen the transaction 1, by way of the first that is given. */
async function openAt(servers: readonly string[]): Promise<Sessions> {
  const settings = checkOptions({
    connect: servers.join(','),
    sessionTimeoutMs: SESSION_MS,
    operationTimeoutMs: 10_000,
    random: { ...systemRandom, next: () => 0 },
  })
  const sessions = new Sessions(settings, new BackendLifecycle('zookeeper backend', systemClock))
  onTestFinished(() => sessions.close())
  await sessions.connected(60_000, undefined)
  await sessions.current.run(getChildren('/'))
  return sessions
}

function fakeServer(options?: { readonly shakesHands: boolean }): Promise<FakeServer> {
  return new FakeServer(() => ({ payload: Buffer.alloc(4 + 68) }), options).listen()
}

describe('A session', () => {
  it('that every server refuses for long is followed by one that asks for nothing that was seen', async () => {
    await using fake = await fakeServer()
    const sessions = await openAt([fake.connectString])
    const session = sessions.current
    const startMs = performance.now()
    fake.isRefusing = true
    fake.drop()
    await vi.waitUntil(() => session.isOver, { interval: 5 })
    expect(performance.now() - startMs).toBeGreaterThan(2 * SESSION_MS - 10)
    expect(session.state).toMatchObject({ failure: { kind: 'session-lost' } })
    fake.isRefusing = false
    await sessions.connected(60_000, undefined)
    expect(sessions.current).not.toBe(session)
    const later = fake.seen.slice(1)
    const asked = later.slice(0, later.indexOf(0n))
    expect(asked.length).toBeGreaterThan(2)
    expect(later).toEqual([...asked.map(() => SEEN), ...later.slice(asked.length).map(() => 0n)])
  })

  it('that has seen nothing is not given up: no server can have lost what it saw', async () => {
    await using fake = await fakeServer()
    fake.isRefusing = true
    const settings = checkOptions({ connect: fake.connectString, sessionTimeoutMs: 100 })
    const sessions = new Sessions(settings, new BackendLifecycle('zookeeper backend', systemClock))
    onTestFinished(() => sessions.close())
    const session = sessions.current
    await vi.waitUntil(() => (fake.connectedMs.at(-1) ?? 0) - (fake.connectedMs[0] ?? Infinity) > 600, 60_000)
    expect(sessions.current).toBe(session)
  })

  it('is not given up while a server is silent, or cannot be reached, though another refuses it', async () => {
    for (const isSilent of [true, false]) {
      const fake = await fakeServer()
      onTestFinished(() => fake[Symbol.asyncDispose]())
      const absent = await fakeServer({ shakesHands: false })
      if (isSilent) onTestFinished(() => absent[Symbol.asyncDispose]())
      const sessions = await openAt([fake.connectString, absent.connectString])
      if (!isSilent) await absent[Symbol.asyncDispose]()
      const session = sessions.current
      fake.isRefusing = true
      const startMs = systemClock.monotonicMs()
      fake.drop()
      await vi.waitUntil(() => (fake.connectedMs.at(-1) ?? 0) - startMs > 4 * SESSION_MS, 60_000)
      expect(session.isOver).toBe(false)
      fake.isRefusing = false
      await sessions.connected(60_000, undefined)
      expect(sessions.current).toBe(session)
      expect(new Set(fake.seen.slice(1))).toEqual(new Set([SEEN]))
    }
  })
})
