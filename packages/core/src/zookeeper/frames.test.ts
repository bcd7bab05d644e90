import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FrameReader } from './frames.ts'

function frameOf(body: Uint8Array): Buffer {
  const frame = Buffer.alloc(4 + body.length)
  frame.writeInt32BE(body.length, 0)
  frame.set(body, 4)
  return frame
}

function framesOf(chunks: readonly Buffer[]): string[] {
  const reader = new FrameReader()
  const frames: string[] = []
  for (const chunk of chunks) reader.push(chunk, frame => frames.push(frame.toString('hex')))
  return frames
}

describe('FrameReader', () => {
  it('finds the same frames however the bytes are cut', () => {
    const bodies = fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 12 })
    fc.assert(
      fc.property(bodies, fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (all, sizes) => {
        const bytes = Buffer.concat(all.map(frameOf))
        const chunks: Buffer[] = []
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1
          chunks.push(bytes.subarray(at, at + size))
          at += size
        }
        expect(framesOf(chunks)).toEqual(all.map(body => frameOf(body).toString('hex')))
      }),
    )
  })

  it('keeps what is not complete until the rest comes', () => {
    const frame = frameOf(Buffer.from('abc'))
    expect(framesOf([frame.subarray(0, 6)])).toEqual([])
    expect(framesOf([frame.subarray(0, 6), frame.subarray(6)])).toEqual([frame.toString('hex')])
  })

  it('reads 10,000 small frames of one chunk without recursion', () => {
    const frame = frameOf(Buffer.alloc(16))
    expect(framesOf([Buffer.concat(Array.from({ length: 10_000 }, () => frame))])).toHaveLength(10_000)
  })

  it.each([-1, -2_147_483_648, 67_108_865, 2_147_483_647])('refuses a length of %i', length => {
    const head = Buffer.alloc(4)
    head.writeInt32BE(length, 0)
    expect(() => framesOf([head])).toThrow(RangeError)
    expect(() => framesOf([head.subarray(0, 2), head.subarray(2)])).toThrow(RangeError)
  })
})
