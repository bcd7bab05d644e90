import { EventEmitter } from 'node:events'
import type { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { SimulatedClock } from '../testing/index.ts'
import { Inbox } from './inbox.ts'
import { InboxListeners } from './inbox-listeners.ts'

describe('Inbox', () => {
  it('is opened anew when it does not answer after a minute without news', async () => {
    const clock = new SimulatedClock()
    const client = new BreakingClient()
    const inbox = new Inbox({ open: () => client as unknown as Redis, channel: 'inbox', clock })
    await inbox.listen(client as unknown as Redis)
    client.isBroken = true
    clock.stall(59_999)
    inbox.probe()
    client.emit('message', 'inbox', 'a.1 100')
    clock.stall(59_999)
    inbox.probe()
    expect(client.pings).toBe(0)
    clock.stall(1)
    inbox.probe()
    inbox.probe()
    await new Promise(resolve => setImmediate(resolve))
    expect([client.pings, client.reconnects]).toEqual([1, 1])
    inbox.close()
  })

  it('survives a connection that breaks again while it subscribes (seen by reading: an unhandled rejection ends the process)', async () => {
    const client = new BreakingClient()
    const inbox = new Inbox({ open: () => client as unknown as Redis, channel: 'inbox', clock: new SimulatedClock() })
    await inbox.listen(client as unknown as Redis)
    client.emit('close')
    client.isBroken = true
    client.emit('ready')
    await new Promise(resolve => setImmediate(resolve))
    expect(inbox.isListening).toBe(false)
    client.isBroken = false
    client.emit('ready')
    await new Promise(resolve => setImmediate(resolve))
    expect(inbox.isListening).toBe(true)
    inbox.close()
  })
})

describe('A message', () => {
  const heard: unknown[] = []
  const listeners = new InboxListeners()
  listeners.add('a.1', {
    onHandOff: handOff => heard.push(handOff),
    onFirst: remainingMs => heard.push(remainingMs),
    onGap: () => {},
  })

  it('hands over a lease, a permit with its slot, or says who is first', () => {
    listeners.receive('a.1 007 1500 3000')
    listeners.receive('a.1 008 1600 3000 2', 'node')
    listeners.receive('a.1 250')
    listeners.receive('a.2 250')
    expect(heard).toEqual([
      { token: '007', nowUs: 1_500, spanMs: 3_000 },
      { token: '008', nowUs: 1_600, spanMs: 3_000, slot: 2, from: 'node' },
      250,
    ])
  })
})

class BreakingClient extends EventEmitter {
  isBroken = false
  pings = 0
  reconnects = 0

  async ping(): Promise<void> {
    this.pings += 1
    if (this.isBroken) throw new Error('Command timed out')
  }

  async connect(): Promise<void> {}

  async subscribe(): Promise<void> {
    if (this.isBroken) throw new Error('Connection is closed.')
  }

  disconnect(reconnect = false): void {
    if (reconnect) this.reconnects += 1
  }
}
