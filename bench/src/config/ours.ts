import { openConfig, openConfigAdmin } from '@holdfast/config-client'
import type { Backend } from '@holdfast/core'
import { redisBackend } from '@holdfast/core/redis'
import { zookeeperBackend } from '@holdfast/core/zookeeper'
import type { Publisher, StartReader } from './contestant.ts'
import { payload, payloadOf } from './payload.ts'

export type Store = 'redis' | 'zookeeper'

const SCOPE = { app: 'bench', env: 'bench', namespaces: [payload] }

export async function ourPublisher(store: Store, address: string, sizeBytes: number): Promise<Publisher> {
  const backend = backendAt(store, address)
  const admin = openConfigAdmin({ backend, ...SCOPE })
  const publish = async (value: number): Promise<void> => {
    await admin.publish([payload.replace(payloadOf(value, sizeBytes))])
  }
  await publish(0)
  return {
    publish,
    async [Symbol.asyncDispose]() {
      await admin.close()
      await backend.close()
    },
  }
}

export function ourReader(store: Store): StartReader {
  return async (address, applied) => {
    const config = await openConfig({ backend: backendAt(store, address), ...SCOPE })
    config.live(payload).subscribe(({ timeoutMs }) => applied(timeoutMs))
  }
}

function backendAt(store: Store, address: string): Backend {
  return store === 'redis' ? redisBackend({ url: address }) : zookeeperBackend({ connect: address })
}
