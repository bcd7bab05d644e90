import { EventEmitter } from 'node:events'
import type { Redis } from 'ioredis'
import { beforeEach, describe, expect, it } from 'vitest'
import { SimulatedClock } from '../testing/index.ts'
import { Subscriber } from './subscriber.ts'

/** A connection that answers at once, unless a test says otherwise. */
class FakeClient extends EventEmitter {
  readonly asked: string[] = []
  isSilent = false
  refused = new Set<string>()
  isDisconnected = false

  connect = (): Promise<void> => this.#answer('connect')
  ping = (): Promise<void> => this.#answer('ping')
  unsubscribe = (channel: string): Promise<void> => this.#answer(`unsubscribe ${channel}`)

  async subscribe(channel: string): Promise<void> {
    await this.#answer(`subscribe ${channel}`)
    if (this.refused.has(channel)) throw Object.assign(new Error('NOPERM No permissions'), { name: 'ReplyError' })
  }

  disconnect(): void {
    this.isDisconnected = true
    this.emit('close')
  }

  async #answer(asked: string): Promise<void> {
    this.asked.push(asked)
    if (this.isSilent) await new Promise(() => {})
  }
}

let clock: SimulatedClock
let clients: FakeClient[]
let prepare: (client: FakeClient) => void
let subscriber: Subscriber
let heard: string[]

beforeEach(() => {
  clock = new SimulatedClock()
  clients = []
  prepare = () => {}
  heard = []
  subscriber = new Subscriber({
    clock,
    jitter: () => 1,
    open: async () => {
      const client = new FakeClient()
      prepare(client)
      clients.push(client)
      return client as unknown as Redis
    },
  })
})

function listen(channel: string): () => void {
  return subscriber.listen(channel, {
    message: text => heard.push(`${channel}: ${text}`),
    live: () => heard.push(`${channel} live`),
    down: cause => heard.push(`${channel} down: ${(cause as Error).message}`),
  }).close
}

const settled = (): Promise<void> => clock.advance(0)

describe('A subscriber', () => {
  it('opens one connection for all channels, and none before somebody listens', async () => {
    await settled()
    expect(clients).toHaveLength(0)
    listen('a')
    listen('b')
    expect(heard).toEqual([])
    await settled()
    expect(heard).toEqual(['a live', 'b live'])
    listen('a')
    listen('c')
    await settled()
    expect(heard.slice(2).sort()).toEqual(['a live', 'c live'])
    expect(clients.map(({ asked }) => asked)).toEqual([['connect', 'subscribe a', 'subscribe b', 'subscribe c']])
  })

  it('leaves a channel that nobody listens to any more, and closes with the last one', async () => {
    const close = [listen('a'), listen('a'), listen('b')]
    await settled()
    close[0]?.()
    close[0]?.()
    expect(clients[0]?.asked).not.toContain('unsubscribe a')
    close[1]?.()
    expect(clients[0]?.asked).toContain('unsubscribe a')
    close[2]?.()
    expect([clients[0]?.isDisconnected, clock.pendingTimers]).toEqual([true, 0])
    expect(heard.filter(event => event.includes('down'))).toEqual([])
    listen('a')
    await settled()
    expect([clients.length, heard.at(-1)]).toEqual([2, 'a live'])
  })

  it('tells `down` once and `live` again when its connection closed, with ever longer pauses between attempts', async () => {
    listen('a')
    await settled()
    prepare = client => (client.connect = () => Promise.reject(new Error('nobody there')))
    clients[0]?.emit('error', new Error('reset'))
    clients[0]?.emit('close')
    expect(heard).toEqual(['a live', 'a down: reset'])
    await clock.advance(50 + 100 + 200)
    expect(clients).toHaveLength(4)
    prepare = () => {}
    await clock.advance(400)
    expect(heard).toEqual(['a live', 'a down: reset', 'a live'])
    clients.at(-1)?.emit('message', 'a', 'news')
    expect(heard.at(-1)).toBe('a: news')
  })

  it.each(['connect', 'subscribe a'])('gives up a connection that does not answer to %s within 5 s', async asked => {
    prepare = client => {
      client.isSilent = asked === 'connect'
      const connect = client.connect
      client.connect = async () => {
        await connect()
        client.isSilent = true
      }
    }
    listen('a')
    await clock.advance(4_999)
    expect(clients.map(client => client.asked.at(-1))).toEqual([asked])
    await clock.advance(1)
    expect(heard).toEqual(['a down: The connection that listens said nothing for 5000 ms.'])
    prepare = () => {}
    await clock.advance(100)
    expect(heard.at(-1)).toBe('a live')
  })

  it('asks a connection that says nothing for 10 s whether it is there, and replaces it after 5 s without an answer', async () => {
    listen('a')
    await clock.advance(6_000)
    clients[0]?.emit('message', 'a', 'x')
    await clock.advance(9_999)
    expect(clients[0]?.asked).not.toContain('ping')
    await clock.advance(1)
    expect(clients[0]?.asked.filter(asked => asked === 'ping')).toHaveLength(1)
    if (clients[0]) clients[0].isSilent = true
    await clock.advance(14_999)
    expect(heard.at(-1)).toBe('a: x')
    await clock.advance(1)
    expect(heard.at(-1)).toContain('a down')
    await clock.advance(100)
    expect([clients.length, heard.at(-1)]).toEqual([2, 'a live'])
  })

  it('that is refused a channel serves the others, and asks for it again every 10 s', async () => {
    prepare = client => client.refused.add('a')
    listen('a')
    listen('b')
    await settled()
    expect([...heard].sort()).toEqual(['a down: Redis refused: NOPERM No permissions.', 'b live'])
    await clock.advance(10_000)
    expect(heard).toHaveLength(2)
    clients[0]?.refused.clear()
    await clock.advance(10_000)
    expect([clients.length, heard.at(-1)]).toEqual([1, 'a live'])
  })

  it('that is closed tells nobody, and leaves no timer', async () => {
    listen('a')
    await settled()
    clients[0]?.emit('close')
    subscriber.close()
    await clock.advance(60_000)
    expect([clients.length, clock.pendingTimers]).toEqual([1, 0])
    expect(heard).toHaveLength(2)
  })

  it('that is closed while a connection is opened leaves none', async () => {
    listen('a')
    subscriber.close()
    await clock.advance(60_000)
    expect(clients.every(({ asked }) => asked.length === 0)).toBe(true)
    expect([heard, clock.pendingTimers]).toEqual([[], 0])
  })
})
