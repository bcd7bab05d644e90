import { describe, expect, it } from 'vitest'
import { BackendLifecycle } from './backend.ts'
import type { BackendHealth } from './backend.ts'
import { SimulatedClock } from './testing/index.ts'

function lifecycleWith(clock: SimulatedClock): BackendLifecycle {
  return new BackendLifecycle('test backend', clock)
}

describe('BackendLifecycle', () => {
  it('starts connecting, and tells every change of its health once', () => {
    const lifecycle = lifecycleWith(new SimulatedClock())
    const seen: BackendHealth['kind'][] = [lifecycle.health.current.kind]
    lifecycle.health.subscribe(({ kind }) => seen.push(kind))
    lifecycle.setHealth({ kind: 'connecting' })
    lifecycle.setHealth({ kind: 'ready' })
    lifecycle.setHealth({ kind: 'ready' })
    lifecycle.setHealth({ kind: 'suspended', cause: 1 })
    lifecycle.setHealth({ kind: 'ready' })
    expect(seen).toEqual(['connecting', 'ready', 'suspended', 'ready'])
  })

  it('runs every hook, then disconnects, then is closed', async () => {
    const lifecycle = lifecycleWith(new SimulatedClock())
    const order: string[] = []
    for (const name of ['first', 'second']) {
      lifecycle.onClose(async () => {
        await Promise.resolve()
        order.push(name)
      })
    }
    lifecycle.health.subscribe(({ kind }) => order.push(kind))
    await lifecycle.close(async () => void order.push('disconnect'))
    expect(order).toEqual(['first', 'second', 'disconnect', 'closed'])
  })

  it('closes once, whoever asks how often', async () => {
    const lifecycle = lifecycleWith(new SimulatedClock())
    let closes = 0
    const disconnect = async (): Promise<void> => void (closes += 1)
    await Promise.all([lifecycle.close(disconnect), lifecycle.close(disconnect)])
    await lifecycle.close(disconnect)
    expect(closes).toBe(1)
  })

  it('refuses requests and hooks from the moment it begins to close', async () => {
    const lifecycle = lifecycleWith(new SimulatedClock())
    lifecycle.checkOpen()
    const closed = lifecycle.close(async () => {})
    expect(lifecycle.isClosing).toBe(true)
    expect(() => lifecycle.checkOpen()).toThrow('The test backend is closed.')
    expect(() => lifecycle.onClose(async () => {})).toThrow('The test backend is closed.')
    await closed
  })

  it('closes all the same when a hook or the disconnection fails', async () => {
    const clock = new SimulatedClock()
    const lifecycle = lifecycleWith(clock)
    lifecycle.onClose(() => Promise.reject(new Error('a hook failed')))
    await lifecycle.close(() => Promise.reject(new Error('disconnecting failed')))
    expect(lifecycle.health.current.kind).toBe('closed')
    expect(clock.pendingTimers).toBe(0)
  })

  it('leaves behind, after 2 s in all, what does not end', async () => {
    const clock = new SimulatedClock()
    const lifecycle = lifecycleWith(clock)
    lifecycle.onClose(() => new Promise(() => {}))
    let isClosed = false
    const closed = lifecycle.close(() => new Promise(() => {})).then(() => (isClosed = true))
    await clock.advance(1_999)
    expect([isClosed, clock.holdingTimers]).toEqual([false, 1])
    await clock.advance(1)
    await closed
    expect(clock.pendingTimers).toBe(0)
  })

  it('keeps the health closed, whatever a late connection says', async () => {
    const lifecycle = lifecycleWith(new SimulatedClock())
    await lifecycle.close(async () => {})
    lifecycle.setHealth({ kind: 'ready' })
    expect(lifecycle.health.current).toEqual({ kind: 'closed' })
  })
})
