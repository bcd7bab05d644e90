import { describe, expect, it } from 'vitest'
import { seededRandom, systemRandom, toHex } from './random.ts'

describe('seededRandom', () => {
  it('is the same sequence for the same seed, and another for another', () => {
    const draw = (seed: number): number[] => {
      const random = seededRandom(seed)
      return Array.from({ length: 20 }, () => random.next())
    }
    expect(draw(42)).toEqual(draw(42))
    expect(draw(42)).not.toEqual(draw(43))
  })

  it('is mulberry32, so that seeds that were kept go on meaning the same', () => {
    const random = seededRandom(0)
    expect([random.next(), random.next(), random.next()]).toEqual([
      0.26642920868471265, 0.0003297457005828619, 0.2232720274478197,
    ])
  })

  it('spreads evenly over [0, 1)', () => {
    const random = seededRandom(7)
    const counts = Array.from({ length: 10 }, () => 0)
    for (let draw = 0; draw < 10_000; draw += 1) counts[Math.floor(random.next() * 10)]! += 1
    for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(120)
  })

  it('makes as many bytes as are asked for', () => {
    expect(seededRandom(1).bytes(0).length).toBe(0)
    expect(seededRandom(1).bytes(20)).toEqual(seededRandom(1).bytes(20))
  })
})

describe('systemRandom', () => {
  it('makes numbers in [0, 1) and bytes that differ from call to call', () => {
    const next = systemRandom.next()
    expect(next >= 0 && next < 1).toBe(true)
    expect(systemRandom.bytes(20)).not.toEqual(systemRandom.bytes(20))
  })

  it('gives no bytes twice, however many are drawn', () => {
    const draws = Array.from({ length: 3_000 }, () => systemRandom.bytes(16))
    expect(new Set(draws.map(toHex)).size).toBe(3_000)
    expect(new Set(draws.map(({ buffer }) => buffer)).size).toBe(3_000)
    expect(systemRandom.bytes(0).length).toBe(0)
    expect(systemRandom.bytes(5_000).length).toBe(5_000)
    expect(systemRandom.bytes(5_000).filter(byte => byte === 0).length).toBeLessThan(100)
  })
})

describe('toHex', () => {
  it('writes two lower-case digits for every byte', () => {
    expect(toHex(Uint8Array.of(0, 1, 15, 16, 171, 255))).toBe('00010f10abff')
  })
})
