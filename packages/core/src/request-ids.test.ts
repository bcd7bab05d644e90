import { describe, expect, it } from 'vitest'
import { RequestIds, processId } from './request-ids.ts'

describe('RequestIds', () => {
  it('never makes the same id twice, from one source or from several', () => {
    const sources = Array.from({ length: 5 }, () => new RequestIds())
    const ids = sources.flatMap(source => Array.from({ length: 1_000 }, () => source.next()))
    expect(new Set(ids).size).toBe(5_000)
  })

  it('starts every id of a source with the source, up to the dot', () => {
    const ids = new RequestIds()
    const [first, second] = [ids.next(), ids.next()]
    expect(first.split('.')[0]).toBe(ids.source)
    expect(second.split('.')[0]).toBe(ids.source)
    expect(first).toMatch(/^[0-9a-f]{40}-[0-9a-z]+\.[0-9a-z]+$/)
  })
})

describe('processId', () => {
  it('is drawn once', () => {
    expect(processId()).toBe(processId())
    expect(processId({ next: () => 0, bytes: count => new Uint8Array(count) })).toBe(processId())
  })
})
