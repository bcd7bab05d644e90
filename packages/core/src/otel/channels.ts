import type { Channel } from 'node:diagnostics_channel'
import { reportListenerError } from '../telemetry.ts'

// Asked at run time, as in telemetry.ts: where there is no Node nothing is ever published.
const node: NodeJS.Process | undefined = globalThis.process
const diagnostics = node?.getBuiltinModule?.('node:diagnostics_channel')

/**
 * Listens to a channel of `node:diagnostics_channel` until the returned function is called. What `listener` throws is reported: Node
 * would end the process by it.
 */
export function listen<T extends object>(name: string, listener: (message: T) => void): () => void {
  const channel: Channel | undefined = diagnostics?.channel(name)
  if (channel === undefined) return () => {}
  const safely = (message: unknown): void => attempt(() => listener(message as T))
  channel.subscribe(safely)
  return () => {
    channel.unsubscribe(safely)
  }
}

/** Runs what belongs to somebody else (an exporter, a function of the user): what it throws is reported, and nothing else happens. */
export function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    reportListenerError('otel', error)
    return undefined
  }
}
