import { openConfig, openConfigAdmin } from '@holdfast/config-client'
import type { Backend } from '@holdfast/core'
import type { Contestant } from './contestant.ts'
import { payload, payloadOf } from './payload.ts'

/** A publisher and a reader, each with a backend of its own. */
export async function ours(open: () => Backend, sizeBytes: number): Promise<Contestant> {
  const backends = [open(), open()] as const
  const admin = openConfigAdmin({ backend: backends[0], app: 'bench', env: 'bench', namespaces: [payload] })
  await admin.publish([payload.replace(payloadOf(0, sizeBytes))])
  const config = await openConfig({ backend: backends[1], app: 'bench', env: 'bench', namespaces: [payload] })
  const live = config.live(payload)
  return {
    async publish(value) {
      const applied = new Promise<void>(resolve => {
        const subscription = live.subscribe(next => {
          if (next.timeoutMs !== value) return
          subscription.close()
          resolve()
        })
      })
      await admin.publish([payload.replace(payloadOf(value, sizeBytes))])
      await applied
    },
    async [Symbol.asyncDispose]() {
      await config.close()
      await admin.close()
      await Promise.all(backends.map(backend => backend.close()))
    },
  }
}
