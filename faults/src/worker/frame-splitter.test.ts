import { describe, expect, it } from 'vitest'
import { FrameSplitter } from './frame-splitter.ts'

describe('FrameSplitter', () => {
  it('gives the same frames however the bytes are cut', () => {
    const bytes = Buffer.from('\0\0\0\x02ab\0\0\0\0\0\0\0\x01c')
    for (let size = 1; size <= bytes.length; size++) {
      const splitter = new FrameSplitter()
      const frames: string[] = []
      for (let at = 0; at < bytes.length; at += size) {
        frames.push(...splitter.push(bytes.subarray(at, at + size)).map(String))
      }
      expect(frames).toEqual(['ab', '', 'c'])
    }
  })
})
