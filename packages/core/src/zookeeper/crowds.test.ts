import { describe, expect, it } from 'vitest'
import { Crowds } from './crowds.ts'

describe('Crowds', () => {
  it('knows where somebody stood before us the last time', () => {
    const crowds = new Crowds()
    expect(crowds.has('/a')).toBe(false)
    crowds.note('/a', false)
    expect(crowds.has('/a')).toBe(true)
    crowds.note('/a', true)
    expect(crowds.has('/a')).toBe(false)
  })

  it('forgets the oldest of more than a thousand', () => {
    const crowds = new Crowds()
    for (let index = 0; index <= 1_000; index++) crowds.note(`/${index}`, false)
    expect(crowds.has('/0')).toBe(false)
    expect(crowds.has('/1')).toBe(true)
    expect(crowds.has('/1000')).toBe(true)
  })
})
