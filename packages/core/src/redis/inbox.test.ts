import { EventEmitter } from 'node:events'
import type { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { Inbox } from './inbox.ts'

describe('Inbox', () => {
  it('survives a connection that breaks again while it subscribes (seen by reading: an unhandled rejection ends the process)', async () => {
    const client = new BreakingClient()
    const inbox = new Inbox({ open: () => client as unknown as Redis, channel: 'inbox' })
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

class BreakingClient extends EventEmitter {
  isBroken = false

  async connect(): Promise<void> {}

  async subscribe(): Promise<void> {
    if (this.isBroken) throw new Error('Connection is closed.')
  }

  disconnect(): void {}
}
