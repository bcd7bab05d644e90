import { EventEmitter } from 'node:events'
import type { Client } from 'pg'
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../random.ts'
import { SimulatedClock } from '../testing/index.ts'
import { Notices } from './notices.ts'

/** A connection that says what it was asked, and answers while it is not silent. */
class FakeClient extends EventEmitter {
  readonly asked: string[] = []
  isSilent = false
  refusal: Error | undefined
  hasEnded = false

  async connect(): Promise<void> {
    if (this.isSilent) await new Promise(() => {})
  }

  async query(text: string): Promise<void> {
    this.asked.push(text)
    if (this.isSilent) await new Promise(() => {})
    if (this.refusal !== undefined) throw this.refusal
  }

  async end(): Promise<void> {
    this.hasEnded = true
  }
}

function scene() {
  const clock = new SimulatedClock()
  const clients: FakeClient[] = []
  const open = async (): Promise<Client> => {
    const client = new FakeClient()
    clients.push(client)
    return client as unknown as Client
  }
  const notices = new Notices({ clock, random: seededRandom(1), open })
  const heard: string[] = []
  const listen = (channel: string, name: string = channel): (() => void) =>
    notices.listen(channel, {
      told: payload => void heard.push(`${name} told ${payload}`),
      live: () => void heard.push(`${name} live`),
      down: () => void heard.push(`${name} down`),
    })
  return { clock, clients, notices, heard, listen }
}

describe('Notices', () => {
  it('are heard on one connection, which is there while somebody listens', async () => {
    const { clock, clients, heard, listen } = scene()
    const stopA = listen('a')
    const stopB = listen('b')
    expect(heard).toEqual([])
    await clock.advance(0)
    expect(heard).toEqual(['a live', 'b live'])
    expect(clients.map(({ asked }) => asked)).toEqual([['LISTEN "a";LISTEN "b"']])
    clients[0]?.emit('notification', { channel: 'a', payload: 'x' })
    clients[0]?.emit('notification', { channel: 'unknown', payload: 'x' })
    expect(heard.splice(0)).toEqual(['a live', 'b live', 'a told x'])
    stopA()
    stopA()
    await clock.advance(0)
    expect(clients[0]?.asked.at(-1)).toBe('UNLISTEN "a"')
    stopB()
    await clock.advance(0)
    expect([clients[0]?.hasEnded, clock.pendingTimers, heard]).toEqual([true, 0, []])
  })

  it('that are wanted anew at once are told to be live, on the same connection', async () => {
    const { clock, clients, heard, listen } = scene()
    listen('b')
    const stop = listen('a', 'first')
    await clock.advance(0)
    stop()
    listen('a', 'second')
    await clock.advance(0)
    listen('a', 'third')
    await clock.advance(0)
    expect(heard).toEqual(['b live', 'first live', 'second live', 'third live'])
    expect(clients).toHaveLength(1)
  })

  it('of a connection that is silent for 10 s are down 5 s later, and live on another', async () => {
    const { clock, clients, heard, listen } = scene()
    listen('a')
    await clock.advance(9_999)
    expect(clients[0]?.asked).toEqual(['LISTEN "a"'])
    await clock.advance(1)
    expect(clients[0]?.asked).toEqual(['LISTEN "a"', 'SELECT 1'])
    if (clients[0] !== undefined) clients[0].isSilent = true
    await clock.advance(14_999)
    expect(heard).toEqual(['a live'])
    await clock.advance(1_001)
    expect(heard).toEqual(['a live', 'a down', 'a live'])
    expect(clients.map(({ hasEnded }) => hasEnded)).toEqual([true, false])
  })

  it('ask on their own connection what is to last as long as it; a refusal is no loss, and a loss is an answer', async () => {
    const { clock, clients, notices, heard, listen } = scene()
    await expect(notices.ask('SELECT 0')).rejects.toThrow('no connection listens')
    listen('a')
    await clock.advance(0)
    await notices.ask('SELECT 2')
    expect(clients[0]?.asked).toEqual(['LISTEN "a"', 'SELECT 2'])
    if (clients[0] !== undefined)
      clients[0].refusal = Object.assign(new Error('no'), { severity: 'ERROR', code: '42501' })
    await expect(notices.ask('SELECT 3')).rejects.toThrow('no')
    expect([clients.length, heard]).toEqual([1, ['a live']])
    if (clients[0] !== undefined) clients[0].isSilent = true
    const [first, second] = [notices.ask('SELECT 4'), notices.ask('SELECT 5')].map(asked => asked.catch(String))
    clients[0]?.emit('error', new Error('cut'))
    expect([await first, await second]).toEqual(['Error: cut', 'Error: the connection that listens is gone'])
    expect(heard).toEqual(['a live', 'a down'])
  })

  it('are made sure of at once when the server seems to be gone', async () => {
    const { clock, clients, notices, listen } = scene()
    notices.suspect()
    listen('a')
    await clock.advance(1)
    notices.suspect()
    await clock.advance(0)
    expect(clients[0]?.asked).toEqual(['LISTEN "a"', 'SELECT 1'])
  })

  it('a connection that is lost is told once, and tried again ever less often', async () => {
    const { clock, clients, heard, listen } = scene()
    const stop = listen('a')
    await clock.advance(0)
    clients[0]?.emit('error', new Error('cut'))
    await clock.advance(0)
    clients[0]?.emit('end')
    expect(heard).toEqual(['a live', 'a down'])
    await clock.advance(50)
    expect(heard).toEqual(['a live', 'a down', 'a live'])
    stop()
    await clock.advance(0)
    expect(clock.pendingTimers).toBe(0)
  })

  it('who leaves while others are told hears nothing more, and one who throws keeps nobody from hearing', async () => {
    const { clock, notices, heard, listen } = scene()
    let stop = (): void => {}
    notices.listen('a', {
      told: () => {
        stop()
        throw new Error('a listener failed')
      },
      live: () => {},
      down: () => {},
    })
    stop = listen('a', 'leaver')
    listen('a', 'stayer')
    await clock.advance(0)
    notices.hint('a', 'x')
    expect(heard).toEqual(['leaver live', 'stayer live', 'stayer told x'])
    notices.close()
    await clock.advance(0)
    expect(clock.pendingTimers).toBe(0)
  })
})
