import type { Backend } from '@holdfast/core'
import { memoryBackend } from '@holdfast/core/memory'
import { postgresBackend } from '@holdfast/core/postgres'
import { redisBackend } from '@holdfast/core/redis'
import { zookeeperBackend } from '@holdfast/core/zookeeper'
import { startPostgres, startRedis, startZooKeeper } from '@holdfast/scripts/servers'

/** A backend, and how to leave it: what was started for it ends. */
export interface Place {
  readonly backend: Backend
  leave(): Promise<void>
}

/** Starts a server of its own for all but memory. */
export async function openPlace(name: string): Promise<Place> {
  switch (name) {
    case 'memory':
      return placeOn(memoryBackend(), undefined)
    case 'redis': {
      const server = await startRedis()
      return placeOn(redisBackend({ url: server.url }), server)
    }
    case 'zookeeper': {
      const server = await startZooKeeper()
      return placeOn(zookeeperBackend({ connect: server.connectString }), server)
    }
    case 'postgres': {
      const server = await startPostgres()
      return placeOn(postgresBackend({ url: server.url }), server)
    }
    default:
      throw new Error(`Expected --backend to be memory, redis, zookeeper or postgres, got ${name}.`)
  }
}

function placeOn(backend: Backend, server: { stop(): Promise<void> } | undefined): Place {
  return {
    backend,
    leave: async () => {
      await backend.close()
      await server?.stop()
    },
  }
}
