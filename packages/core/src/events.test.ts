import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, it, vi } from 'vitest'
import { Emitter } from './events.ts'

interface Events {
  granted: { readonly resource: string }
  lost: { readonly resource: string }
}

describe('Emitter', () => {
  it('tells the listeners of an event, in order, and no others', () => {
    const emitter = new Emitter<Events>('test')
    const seen: string[] = []
    emitter.on('granted', ({ resource }) => seen.push(`first ${resource}`))
    emitter.on('granted', ({ resource }) => seen.push(`second ${resource}`))
    emitter.on('lost', () => seen.push('lost'))
    emitter.emit('granted', { resource: 'r' })
    expect(seen).toEqual(['first r', 'second r'])
  })

  it('stops telling a listener that was closed or disposed, and keeps the same function elsewhere', () => {
    const emitter = new Emitter<Events>('test')
    let calls = 0
    const listener = (): void => void (calls += 1)
    const subscription = emitter.on('granted', listener)
    emitter.on('granted', listener)
    subscription.close()
    subscription.close()
    {
      using _subscription = emitter.on('granted', listener)
    }
    emitter.emit('granted', { resource: 'r' })
    expect(calls).toBe(1)
  })

  it('reports a listener that throws, with where it listened, and tells the others all the same', () => {
    const emitter = new Emitter<Events>('lease')
    const reported: unknown[] = []
    const hear = (message: unknown): void => void reported.push(message)
    subscribe('holdfast:listener.error', hear)
    const error = new Error('a listener failed')
    let calls = 0
    emitter.on('granted', () => {
      throw error
    })
    emitter.on('granted', () => (calls += 1))
    emitter.emit('granted', { resource: 'r' })
    unsubscribe('holdfast:listener.error', hear)
    expect([reported, calls]).toEqual([[{ source: 'lease', error }], 1])
  })

  it('reports a listener that is async and rejects, which would end the process', async () => {
    const emitter = new Emitter<Events>('config')
    const reported: unknown[] = []
    const hear = (message: unknown): void => void reported.push(message)
    subscribe('holdfast:listener.error', hear)
    const error = new Error('a promise failed')
    emitter.on('granted', async () => {
      throw error
    })
    emitter.emit('granted', { resource: 'r' })
    await vi.waitFor(() => expect(reported.length).toBe(1))
    unsubscribe('holdfast:listener.error', hear)
    expect(reported).toEqual([{ source: 'config', error }])
  })

  it('does nothing when nobody listens', () => {
    expect(() => new Emitter<Events>('test').emit('lost', { resource: 'r' })).not.toThrow()
  })
})
