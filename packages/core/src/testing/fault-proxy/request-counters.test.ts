import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PostgresRequestCounter, RedisRequestCounter, ZooKeeperRequestCounter } from './request-counters.ts'

function countAll(counter: { count(chunk: Uint8Array): number }, chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, chunk) => sum + counter.count(chunk), 0)
}

function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = []
  let at = 0
  for (const size of sizes) {
    chunks.push(bytes.subarray(at, at + size))
    at += size
  }
  return [...chunks, bytes.subarray(at)]
}

function resp(parts: readonly Uint8Array[]): Buffer {
  const bulks = parts.flatMap(part => [Buffer.from(`$${part.length}\r\n`), part, Buffer.from('\r\n')])
  return Buffer.concat([Buffer.from(`*${parts.length}\r\n`), ...bulks])
}

function frame(body: Uint8Array): Buffer {
  const header = Buffer.alloc(4)
  header.writeUInt32BE(body.length)
  return Buffer.concat([header, body])
}

const part = fc.uint8Array({ maxLength: 30 })
const sizes = fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 60 })

describe('RedisRequestCounter', () => {
  it('counts a command as one when its last byte has come, not before', () => {
    const counter = new RedisRequestCounter()
    const bytes = resp([Buffer.from('EVALSHA'), Buffer.from('abc'), Buffer.from('0')])
    expect(counter.count(bytes.subarray(0, -1))).toBe(0)
    expect(counter.count(bytes.subarray(-1))).toBe(1)
  })

  it('counts each command of a pipeline', () => {
    const ping = resp([Buffer.from('PING')])
    expect(new RedisRequestCounter().count(Buffer.concat([ping, ping, ping]))).toBe(3)
  })

  it('counts inline commands, and neither empty lines nor empty arrays', () => {
    expect(new RedisRequestCounter().count(Buffer.from('PING\r\n\r\n*0\r\n*-1\r\nGET key\r\n'))).toBe(2)
  })

  it('is not misled by line ends and markers inside of a value', () => {
    const value = Buffer.from('*3\r\n$1\r\n\r\nPING\r\n')
    expect(new RedisRequestCounter().count(resp([Buffer.from('SET'), Buffer.from('k'), value]))).toBe(1)
  })

  it('counts what was sent, whatever the values are and however the bytes are cut', () => {
    const commands = fc.array(fc.array(part, { minLength: 1, maxLength: 5 }), { maxLength: 8 })
    fc.assert(
      fc.property(commands, sizes, (sent, at) => {
        const bytes = Buffer.concat(sent.map(parts => resp(parts)))
        expect(countAll(new RedisRequestCounter(), cut(bytes, at))).toBe(sent.length)
      }),
      { seed: 7, numRuns: 300 },
    )
  })
})

describe('ZooKeeperRequestCounter', () => {
  it('counts every frame but the one that opens the session, however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 8 }), sizes, (bodies, at) => {
        const bytes = Buffer.concat(bodies.map(body => frame(body)))
        expect(countAll(new ZooKeeperRequestCounter(), cut(bytes, at))).toBe(bodies.length - 1)
      }),
      { seed: 8, numRuns: 300 },
    )
  })
})

describe('PostgresRequestCounter', () => {
  const message = (letter: string, body: Uint8Array): Buffer => {
    const header = Buffer.alloc(4)
    header.writeUInt32BE(body.length + 4)
    return Buffer.concat([Buffer.from(letter), header, body])
  }

  it('counts queries and executions, however they are cut, and nothing of what stands around them', () => {
    const letters = fc.constantFrom('Q', 'P', 'B', 'D', 'E', 'S', 'X', 'p')
    fc.assert(
      fc.property(fc.array(fc.tuple(letters, part)), sizes, (messages, at) => {
        const startup = message('', Buffer.from('user\0Q\0E\0'))
        const bytes = Buffer.concat([startup, ...messages.map(([letter, body]) => message(letter, body))])
        const asked = messages.filter(([letter]) => letter === 'Q' || letter === 'E').length
        expect(countAll(new PostgresRequestCounter(), cut(bytes, at))).toBe(asked)
      }),
      { seed: 3, numRuns: 200 },
    )
  })
})
