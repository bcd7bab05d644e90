import { setTimeout as sleep } from 'node:timers/promises'
import { openConfig, openConfigAdmin } from '@holdfast/config-client'
import type { Backend, RecordStore } from '@holdfast/core'
import { redisBackend } from '@holdfast/core/redis'
import type { Servers } from '../lock/servers.ts'
import type { Measure } from '../suite.ts'
import { payload, payloadOf } from './payload.ts'
import { rows } from './rows.ts'

const NAME = 'redis/repair'
const INTERVAL_MS = 1_000
const FULL = 30
const SMOKE = 2

/** How old a value gets when no notice ever arrives, in check intervals: the worst of many publishes at odd moments. */
export const repair: Measure<Servers> = {
  name: NAME,
  async run(servers, { isSmoke }) {
    const url = await servers.addressOf('redis')
    await using writer = redisBackend({ url, prefix: 'repair' })
    await using reader = redisBackend({ url, prefix: 'repair' })
    const admin = openConfigAdmin({ backend: writer, app: 'bench', env: 'bench', namespaces: [payload] })
    await admin.publish([payload.replace(payloadOf(0, 500))])
    await using config = await openConfig({
      backend: withoutNotices(reader),
      app: 'bench',
      env: 'bench',
      namespaces: [payload],
      reconcileMs: INTERVAL_MS,
    })
    const live = config.live(payload)
    const stale: number[] = []
    for (let value = 1; value <= (isSmoke ? SMOKE : FULL); value += 1) {
      await sleep(Math.random() * INTERVAL_MS)
      const applied = new Promise<number>(resolve => {
        const subscription = live.subscribe(() => {
          subscription.close()
          resolve(performance.now())
        })
      })
      await admin.publish([payload.replace(payloadOf(value, 500))])
      const committedMs = performance.now()
      stale.push((await applied) - committedMs)
    }
    await admin.close()
    const worst = Math.max(...stale) / INTERVAL_MS
    return [rows.absolute({ name: NAME, unit: 'check intervals', better: 'lower' }, new Map([['ours', worst]]))]
  },
}

// The store listens, and says that it does; nothing that it hears is passed on.
function withoutNotices(backend: Backend): Backend {
  const records: RecordStore = new Proxy(backend.records, {
    get: (store, key) => {
      if (key === 'listen')
        return (directory: string, listener: Parameters<RecordStore['listen']>[1]) =>
          store.listen(directory, { ...listener, changed: () => {} })
      const value: unknown = Reflect.get(store, key)
      return typeof value === 'function' ? (value.bind(store) as unknown) : value
    },
  })
  return new Proxy(backend, { get: (target, key) => (key === 'records' ? records : Reflect.get(target, key)) })
}
