import type { EventPoint } from '@holdfast/core'
import { eventPoint } from '@holdfast/core'

/** What `holdfast:config.event` carries. */
export interface ConfigEventMessage {
  readonly event:
    | 'applied'
    | 'refused'
    | 'state'
    | 'pendingRestart'
    /** A participant's `rollback` threw, rejected or hung. */
    | 'rollbackFailed'
    /** A last-known-good file could not be used, or not be written. */
    | 'fileFailed'
    /** The release was not tried: too many starts died on it. */
    | 'crashLoop'
  readonly app: string
  readonly env: string
  readonly [fact: string]: unknown
}

export const configEvent: EventPoint<ConfigEventMessage> = eventPoint<ConfigEventMessage>('config.event')
