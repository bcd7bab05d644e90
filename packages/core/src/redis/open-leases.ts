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
import type { LeaseRoutes } from './lease-commands.ts'
import { LeaseCommands } from './lease-commands.ts'
import { RedisLeaseStore } from './leases.ts'
import { ReplicatedStepSender, TwoWaySender } from './replicated-steps.ts'
import type { Replication } from './replication.ts'
import type { StepRoute, StepScripts } from './steps.ts'
import { EXCLUSIVE_STEPS, SHARED_STEPS, StepSender } from './steps.ts'

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
  /** What grants and renewals go through, when replicas have to acknowledge them. */
  readonly replicated: ReplicatedConnection | undefined
}

/** A connection of its own, and who acknowledges what goes through it. */
export interface ReplicatedConnection {
  readonly connection: RedisConnection
  readonly replication: Replication
}

/** Leases, and how they end. */
export interface OpenLeases {
  readonly leases: LeaseStore
  /** Rejects everybody who waits. */
  readonly stopLeases: () => void
  readonly closeLeases: () => void
}

interface Route {
  readonly routes: LeaseRoutes
  readonly inbox: LeaseInbox
  readonly timeOf: (client: Redis, key: string) => Promise<unknown>
  readonly close: () => void
}

/** No I/O. */
export function openLeases(settings: LeaseSettings): OpenLeases {
  const { clock, connection, lifecycle, prefix, claimMs } = settings
  const ids = new RequestIds()
  const channel = `${settings.channelPrefix}${inboxPrefix(prefix)}${ids.source}`
  const { routes, inbox, timeOf, close } = settings.isInCluster
    ? inCluster(settings, channel)
    : onServer(settings, channel)
  const confirmsHandOffs = settings.replicated !== undefined
  const commands = new LeaseCommands({ clock, connection, routes }, { prefix, claimMs, confirmsHandOffs })
  const leases = new RedisLeaseStore({ clock, lifecycle, connection, commands, inbox, ids, prefix, timeOf })
  const wasReached = (): boolean => connection.epoch > 0 || (settings.replicated?.connection.epoch ?? 0) > 0
  // Bounded, as everything that is given back: what the server does not answer by then ends with its TTL. A server that was never
  // reached has nothing of ours.
  lifecycle.onClose(async () => (wasReached() ? await commands.idle() : undefined))
  return { leases, stopLeases: () => leases.close(), closeLeases: close }
}

function onServer(settings: LeaseSettings, channel: string): Route {
  const { clock, random, connection, commandTimeoutMs, replicated } = settings
  const open = (redis: Redis): Redis => connectBeside(redis, { jitter: () => random.next(), commandTimeoutMs })
  const inbox = new Inbox({ clock, open, channel })
  const routeOf = (scripts: StepScripts): StepRoute => {
    const releasing = new StepSender(connection, clock, scripts)
    if (replicated === undefined) return releasing
    return new TwoWaySender({ granting: new ReplicatedStepSender({ clock, ...replicated }, scripts), releasing })
  }
  return {
    routes: { exclusive: routeOf(EXCLUSIVE_STEPS), shared: routeOf(SHARED_STEPS) },
    inbox,
    timeOf: client => client.time(),
    close: () => inbox.close(),
  }
}

function inCluster(settings: LeaseSettings, channel: string): Route {
  const { clock, connection, prefix, maxClockSkewMs, replicated } = settings
  const nodes = new ClusterNodes({ clock, prefix, maxClockSkewMs })
  const inboxes = new ClusterInboxes({ clock, channel })
  const routeOf = (scripts: StepScripts): StepRoute => {
    const parts = { clock, connection, nodes, inboxes, scripts, replication: undefined }
    const releasing = new ClusterStepSender(parts)
    if (replicated === undefined) return releasing
    return new TwoWaySender({ granting: new ClusterStepSender({ ...parts, ...replicated }), releasing })
  }
  return {
    routes: { exclusive: routeOf(EXCLUSIVE_STEPS), shared: routeOf(SHARED_STEPS) },
    inbox: inboxes,
    // Each node has a clock of its own.
    timeOf: (client, key) => client.eval("return redis.call('TIME')", 1, key),
    close: () => {
      inboxes.close()
      nodes.close()
    },
  }
}
