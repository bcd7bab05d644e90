import type { Redis } from 'ioredis'
import type { BackendLifecycle } from '../backend.ts'
import type { Clock } from '../clock.ts'
import type { LeaseStore } from '../ports/leases.ts'
import type { Random } from '../random.ts'
import { RequestIds } from '../request-ids.ts'
import { ClusterInboxes } from './cluster-inboxes.ts'
import { ClusterNodes } from './cluster-nodes.ts'
import { ClusterStepSender } from './cluster-steps.ts'
import type { RedisConnection } from './connection.ts'
import { connectBeside } from './driver.ts'
import type { LeaseInbox } from './inbox.ts'
import { Inbox } from './inbox.ts'
import { inboxPrefix } from './keys.ts'
import { LeaseCommands } from './lease-commands.ts'
import { RedisLeaseStore } from './leases.ts'
import type { StepRoute } from './steps.ts'
import { StepSender } from './steps.ts'

/** What leases in Redis are made of. */
export interface LeaseSettings {
  readonly clock: Clock
  readonly random: Random
  readonly lifecycle: BackendLifecycle
  /** In a Cluster one whose driver follows slots, and sends nothing again. */
  readonly connection: RedisConnection
  readonly prefix: string
  /** What channels start with, before the prefix: the driver puts a client's own before keys alone. */
  readonly channelPrefix: string
  readonly claimMs: number
  readonly commandTimeoutMs: number
  readonly maxClockSkewMs: number
  readonly isInCluster: boolean
}

/** Leases, and how they end. */
export interface OpenLeases {
  readonly leases: LeaseStore
  /** Rejects everybody who waits. */
  readonly stopLeases: () => void
  readonly closeLeases: () => void
}

interface Route {
  readonly sender: StepRoute
  readonly inbox: LeaseInbox
  readonly timeOf: (client: Redis, key: string) => Promise<unknown>
  readonly close: () => void
}

/** No I/O. */
export function openLeases(settings: LeaseSettings): OpenLeases {
  const { clock, connection, lifecycle, prefix, claimMs } = settings
  const ids = new RequestIds()
  const channel = `${settings.channelPrefix}${inboxPrefix(prefix)}${ids.source}`
  const { sender, inbox, timeOf, close } = settings.isInCluster
    ? inCluster(settings, channel)
    : onServer(settings, channel)
  const commands = new LeaseCommands({ clock, connection, sender }, { prefix, claimMs })
  const leases = new RedisLeaseStore({ clock, lifecycle, connection, commands, inbox, ids, prefix, timeOf })
  // Bounded, as everything that is given back: what the server does not answer by then ends with its TTL.
  lifecycle.onClose(() => commands.idle())
  return { leases, stopLeases: () => leases.close(), closeLeases: close }
}

function onServer({ clock, random, connection, commandTimeoutMs }: LeaseSettings, channel: string): Route {
  const open = (redis: Redis): Redis => connectBeside(redis, { jitter: () => random.next(), commandTimeoutMs })
  const inbox = new Inbox({ clock, open, channel })
  return {
    sender: new StepSender(connection, clock),
    inbox,
    timeOf: client => client.time(),
    close: () => inbox.close(),
  }
}

function inCluster({ clock, connection, prefix, maxClockSkewMs }: LeaseSettings, channel: string): Route {
  const nodes = new ClusterNodes({ clock, prefix, maxClockSkewMs })
  const inboxes = new ClusterInboxes({ clock, channel })
  return {
    sender: new ClusterStepSender({ clock, connection, nodes, inboxes }),
    inbox: inboxes,
    // Each node has a clock of its own.
    timeOf: (client, key) => client.eval("return redis.call('TIME')", 1, key),
    close: () => {
      inboxes.close()
      nodes.close()
    },
  }
}
