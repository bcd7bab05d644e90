import type { EventPoint } from '../telemetry.ts'
import { eventPoint } from '../telemetry.ts'

/** What `holdfast:zookeeper.session` carries. */
export interface SessionEvent {
  readonly event: 'connecting' | 'connected' | 'suspended' | 'over'
  readonly server: string
  /** The session's id in hexadecimal, as ZooKeeper's own logs show it. */
  readonly session: string
  /** Why there is no connection. */
  readonly cause: unknown
}

export const sessionEvent: EventPoint<SessionEvent> = eventPoint('zookeeper.session')
