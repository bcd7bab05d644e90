import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { FaultProxy } from './fault-proxy.ts'
import { createFaultProxy } from './fault-proxy.ts'
import { SimulatedClock } from './simulated-clock.ts'

/** A socket that remembers what it heard. */
class Ear {
  readonly socket: Socket
  heard = ''
  end: 'open' | 'ended' | 'reset' = 'open'

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (bytes: Buffer) => (this.heard += bytes.toString()))
    socket.on('end', () => (this.end = 'ended'))
    socket.on('error', () => (this.end = 'reset'))
    socket.on('close', () => {
      if (this.end === 'open') this.end = 'reset'
    })
  }
}

/** A server that says `hello ` to everything it gets, in front of it. */
class EchoServer {
  readonly ears: Ear[] = []
  readonly server: Server = createServer(socket => {
    this.ears.push(new Ear(socket))
    socket.on('data', (bytes: Buffer) => socket.write(`hello ${bytes.toString()}`))
  })

  async listen(): Promise<number> {
    this.server.listen(0, '127.0.0.1')
    await once(this.server, 'listening')
    return (this.server.address() as AddressInfo).port
  }

  get heard(): string {
    return this.ears.map(ear => ear.heard).join('')
  }
}

const until = (check: () => void): Promise<void> => vi.waitFor(check, { interval: 1 })

describe('FaultProxy', () => {
  let echo: EchoServer
  let clock: SimulatedClock
  let proxy: FaultProxy
  let clients: Ear[]

  beforeEach(async () => {
    echo = new EchoServer()
    clock = new SimulatedClock()
    clients = []
    proxy = await createFaultProxy({ target: { host: '127.0.0.1', port: await echo.listen() }, clock })
  })

  afterEach(async () => {
    await proxy.close()
    for (const client of clients) client.socket.destroy()
    echo.server.close()
    for (const ear of echo.ears) ear.socket.destroy()
    if (clock.pendingTimers > 0) throw new Error('The proxy left a timer behind.')
  })

  async function connected(): Promise<Ear> {
    const client = new Ear(connect(proxy.port, '127.0.0.1'))
    clients.push(client)
    await once(client.socket, 'connect')
    return client
  }

  it('passes everything on both ways while nothing is broken', async () => {
    const client = await connected()
    client.socket.write('you')
    await until(() => expect(client.heard).toBe('hello you'))
  })

  it('counts commands, bytes and connections', async () => {
    const client = await connected()
    client.socket.write('*2\r\n$3\r\nGET\r\n$1\r\n')
    client.socket.write('k\r\n*1\r\n$4\r\nPING\r\n')
    await until(() => expect(proxy.requests).toBe(2))
    await until(() => expect(proxy.bytesToServer).toBe(34))
    await until(() => expect(proxy.bytesToClient).toBeGreaterThanOrEqual(40))
    expect([proxy.connections, proxy.accepted]).toEqual([1, 1])
    proxy.resetCounts()
    expect([proxy.requests, proxy.bytesToServer, proxy.bytesToClient, proxy.accepted]).toEqual([0, 0, 0, 0])
  })

  it('delays one way by the clock it was given, and keeps the order', async () => {
    const client = await connected()
    proxy.delay(500, { direction: 'to-server' })
    client.socket.write('a')
    await until(() => expect(proxy.bytesToServer).toBe(1))
    await clock.advance(499)
    client.socket.write('b')
    await until(() => expect(proxy.bytesToServer).toBe(2))
    expect(echo.heard).toBe('')
    await clock.advance(1)
    await until(() => expect(echo.heard).toBe('a'))
    await clock.advance(499)
    await until(() => expect(echo.heard).toBe('ab'))
  })

  it('swallows one way and leaves the connection open', async () => {
    const client = await connected()
    proxy.blackHole({ direction: 'to-client' })
    client.socket.write('you')
    await until(() => expect(proxy.bytesToClient).toBe(9))
    expect(echo.heard).toBe('you')
    expect([client.heard, client.end]).toEqual(['', 'open'])
  })

  it('keeps a connection that lost bytes silent after healing, and serves a new one', async () => {
    const old = await connected()
    proxy.blackHole()
    old.socket.write('lost')
    await until(() => expect(proxy.bytesToServer).toBe(4))
    proxy.heal()
    old.socket.write('more')
    const fresh = await connected()
    fresh.socket.write('you')
    await until(() => expect(fresh.heard).toBe('hello you'))
    await until(() => expect(proxy.bytesToServer).toBe(11))
    expect([echo.heard, old.heard, old.end]).toEqual(['you', '', 'open'])
  })

  it('does not tell the server of a client that went away in a black hole', async () => {
    const client = await connected()
    client.socket.write('x')
    await until(() => expect(client.heard).toBe('hello x'))
    proxy.blackHole()
    client.socket.destroy()
    await until(() => expect(client.socket.closed).toBe(true))
    await clock.advance(10)
    expect(echo.ears.map(ear => ear.end)).toEqual(['open'])
    proxy.dropConnections()
    await until(() => expect(echo.ears.map(ear => ear.end)).toEqual(['reset']))
  })

  it('holds one way until it is released, in order, and the end of the connection with it', async () => {
    const client = await connected()
    proxy.hold({ direction: 'to-server' })
    client.socket.write('a')
    client.socket.end('b')
    await until(() => expect(proxy.bytesToServer).toBe(2))
    expect(echo.heard).toBe('')
    proxy.releaseHeld({ direction: 'to-server' })
    await until(() => expect([echo.heard, echo.ears[0]?.end]).toEqual(['ab', 'ended']))
  })

  it('cuts the next reply after so many bytes, once', async () => {
    const client = await connected()
    proxy.cutMidReply(3)
    client.socket.write('you')
    await until(() => expect([client.heard, client.end]).toEqual(['hel', 'ended']))
    await until(() => expect(proxy.connections).toBe(0))
    const next = await connected()
    next.socket.write('you')
    await until(() => expect(next.heard).toBe('hello you'))
  })

  it('cuts across chunks of one reply', async () => {
    const client = await connected()
    proxy.cutMidReply(8)
    client.socket.write('a')
    await until(() => expect(client.heard).toBe('hello a'))
    client.socket.write('b')
    await until(() => expect([client.heard, client.end]).toEqual(['hello ah', 'ended']))
  })

  it('cuts before the first byte of a reply', async () => {
    const client = await connected()
    proxy.cutMidReply(0)
    client.socket.write('you')
    await until(() => expect([client.heard, client.end]).toEqual(['', 'ended']))
  })

  it('refuses new connections and keeps the open ones', async () => {
    const open = await connected()
    proxy.refuse()
    const refused = new Ear(connect(proxy.port, '127.0.0.1'))
    clients.push(refused)
    await until(() => expect(refused.end).toBe('reset'))
    open.socket.write('you')
    await until(() => expect(open.heard).toBe('hello you'))
    proxy.heal()
    const later = await connected()
    later.socket.write('you')
    await until(() => expect(later.heard).toBe('hello you'))
  })

  it('drops every open connection on both sides', async () => {
    const client = await connected()
    client.socket.write('x')
    await until(() => expect(client.heard).toBe('hello x'))
    proxy.dropConnections()
    await until(() => expect(client.end).toBe('reset'))
    await until(() => expect(echo.ears[0]?.end).toBe('reset'))
    expect(proxy.connections).toBe(0)
  })

  it('drops a connection whose end it has just let through', async () => {
    const client = await connected()
    client.socket.write('x')
    await until(() => expect(client.heard).toBe('hello x'))
    proxy.hold()
    client.socket.destroy()
    await until(() => expect(client.socket.closed).toBe(true))
    // The proxy hears of the end in a turn of its own.
    await clock.advance(10)
    proxy.heal()
    proxy.dropConnections()
    await until(() => expect(proxy.connections).toBe(0))
  })

  it('drops a connection whose other end does not read', async () => {
    const client = await connected()
    client.socket.pause()
    proxy.hold({ direction: 'to-client' })
    client.socket.write('x'.repeat(8_000_000))
    await until(() => expect(proxy.bytesToClient).toBeGreaterThanOrEqual(8_000_000))
    proxy.heal()
    proxy.dropConnections()
    await until(() => expect(proxy.connections).toBe(0))
  })

  it('resets a client when there is no server behind it', async () => {
    const vacant = createServer()
    vacant.listen(0, '127.0.0.1')
    await once(vacant, 'listening')
    const { port } = vacant.address() as AddressInfo
    vacant.close()
    await using lonely = await createFaultProxy({ target: { host: '127.0.0.1', port } })
    const client = new Ear(connect(lonely.port, '127.0.0.1'))
    clients.push(client)
    await until(() => expect(client.end).toBe('reset'))
    await until(() => expect(lonely.connections).toBe(0))
  })

  it('passes more than fits into a socket, whole', async () => {
    const client = await connected()
    client.socket.write('x'.repeat(3_000_000))
    await until(() => expect(client.heard.length).toBeGreaterThanOrEqual(3_000_000))
    expect(client.heard.replaceAll(/hello |x/g, '')).toBe('')
  })

  it('closes twice, and leaves no connection and no port behind', async () => {
    const client = await connected()
    proxy.hold()
    client.socket.write('x')
    await until(() => expect(proxy.bytesToServer).toBe(1))
    await proxy.close()
    await proxy.close()
    await until(() => expect([client.end, proxy.connections]).toEqual(['reset', 0]))
    const late = new Ear(connect(proxy.port, '127.0.0.1'))
    clients.push(late)
    await until(() => expect(late.end).toBe('reset'))
  })
})
