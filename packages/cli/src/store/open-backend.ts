import type { Backend } from '@holdfast/core'
import type { StoreAddress } from './address.ts'

/** The backend at an address. Only the adapter that it needs is loaded. No I/O. */
export async function openBackend(address: StoreAddress): Promise<Backend> {
  switch (address.kind) {
    case 'redis': {
      const { redisBackend } = await import('@holdfast/core/redis')
      const { url, prefix } = address
      return redisBackend({ url, ...(prefix === undefined ? {} : { prefix }) })
    }
    case 'zookeeper': {
      const { zookeeperBackend } = await import('@holdfast/core/zookeeper')
      const { connect, root, digest } = address
      return zookeeperBackend({
        connect,
        ...(root === undefined ? {} : { root }),
        ...(digest === undefined ? {} : { auth: { scheme: 'digest', id: digest } }),
      })
    }
    case 'postgres': {
      const { postgresBackend } = await import('@holdfast/core/postgres')
      const { url, schema } = address
      return postgresBackend({ url, ...(schema === undefined ? {} : { schema }) })
    }
  }
}
