import { createRequire } from 'node:module'
import { describe, expect, it } from 'vitest'
import { DriverError } from '../errors.ts'
import type { Require } from './driver.ts'
import { loadDriver } from './driver.ts'

const require = createRequire(import.meta.url)

/** Finds the real driver with something changed. */
function changed(id: string, change: () => unknown): Require {
  return asked => (asked === id ? change() : (require(asked) as unknown))
}

function refusal(find: Require): string {
  try {
    loadDriver(find)
  } catch (error) {
    if (error instanceof DriverError) return error.message
  }
  return 'not refused'
}

describe('loadDriver', () => {
  it('takes the driver that is installed', () => {
    expect(loadDriver().createManager(1_234).sessionTimeout).toBe(1_234)
  })

  it('says in one sentence which package is missing', () => {
    const message = refusal(() => {
      throw new Error('Cannot find module')
    })
    expect(message).toBe(
      'zookeeperBackend needs the package node-zookeeper-client (~1.1.3): npm install node-zookeeper-client',
    )
  })

  it.each(['1.1.2', '1.2.0', '2.0.0', '0.2.3', 'next'])('refuses version %s', version => {
    const message = refusal(changed('node-zookeeper-client/package.json', () => ({ version })))
    expect(message).toContain(`got version ${version}`)
  })

  it('takes a later patch of the same version', () => {
    const later = changed('node-zookeeper-client/package.json', () => ({ version: '1.1.9' }))
    expect(loadDriver(later)).toBeDefined()
  })

  it('names the private fields that are not as they were', () => {
    const createClient = (): object => ({ connectionManager: { connect: () => {}, zxid: 0n, pendingQueue: [] } })
    const message = refusal(changed('node-zookeeper-client', () => ({ createClient })))
    expect(message).toContain('onSocketData')
    expect(message).toContain('zxid')
    expect(message).toContain('CONNECTING')
    expect(message).toContain('packetQueue')
    expect(message).not.toContain('pendingQueue')
  })
})
