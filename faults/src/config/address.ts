import type { Backend } from '@holdfast/core'
import { postgresBackend } from '@holdfast/core/postgres'
import { redisBackend } from '@holdfast/core/redis'
import { zookeeperBackend } from '@holdfast/core/zookeeper'
import type { SingleKind } from '../scenario.ts'

/** Where a process finds the store: on this machine, through a proxy or straight. */
export interface Address {
  readonly kind: Exclude<SingleKind, 'memory'>
  readonly port: number
}

const COMMAND_TIMEOUT_MS = 3_000
const SESSION_MS = 4_000

export function backendAt({ kind, port }: Address): Backend {
  switch (kind) {
    case 'redis':
      return redisBackend({
        url: `redis://127.0.0.1:${port}`,
        prefix: 'hf-faults',
        commandTimeoutMs: COMMAND_TIMEOUT_MS,
      })
    case 'zookeeper':
      return zookeeperBackend({
        connect: `127.0.0.1:${port}`,
        root: '/holdfast-faults',
        sessionTimeoutMs: SESSION_MS,
        operationTimeoutMs: COMMAND_TIMEOUT_MS,
      })
    case 'postgres':
      return postgresBackend({
        url: `postgres://postgres@127.0.0.1:${port}/postgres`,
        schema: 'holdfast_faults',
        commandTimeoutMs: COMMAND_TIMEOUT_MS,
      })
  }
}
