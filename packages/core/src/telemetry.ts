import type { Channel, TracingChannel } from 'node:diagnostics_channel'

// Asked at run time and never imported, so that this module also loads where there is no Node.
const node: NodeJS.Process | undefined = globalThis.process
const diagnostics = node?.getBuiltinModule?.('node:diagnostics_channel')

/** Parts of the library: the first part of each point's name. */
const PARTS = ['lock', 'lease', 'fence', 'config', 'resilience', 'redis', 'zookeeper', 'postgres', 'listener'] as const

type Part = (typeof PARTS)[number]
type PointName = Part | `${Part}.${string}`

const debugged: ReadonlySet<string> = debuggedParts(node?.env?.['HOLDFAST_DEBUG'] ?? '')

/**
 * A named point of the library that tools can listen to with `node:diagnostics_channel`: plain events on
 * `holdfast:<name>`. It costs one property read when nobody listens.
 */
export interface EventPoint<T extends object> {
  readonly isHeard: boolean
  publish(message: T): void
}

/**
 * A named operation of the library, as a tracing channel (`tracing:holdfast:<name>:start`, `:end`, `:asyncStart`,
 * `:asyncEnd`, `:error`).
 */
export interface TracePoint<T extends object> {
  readonly isHeard: boolean
  trace<R>(work: () => Promise<R>, context: T): Promise<R>
}

const SILENT_EVENT: EventPoint<object> = { isHeard: false, publish: () => {} }
const SILENT_TRACE: TracePoint<object> = { isHeard: false, trace: work => work() }

class NodeEventPoint<T extends object> implements EventPoint<T> {
  readonly #channel: Channel

  constructor(channel: Channel) {
    this.#channel = channel
  }

  get isHeard(): boolean {
    return this.#channel.hasSubscribers
  }

  publish(message: T): void {
    if (this.#channel.hasSubscribers) this.#channel.publish(message)
  }
}

class NodeTracePoint<T extends object> implements TracePoint<T> {
  readonly #channel: TracingChannel<T>

  constructor(channel: TracingChannel<T>) {
    this.#channel = channel
  }

  get isHeard(): boolean {
    const { start, end, asyncStart, asyncEnd, error } = this.#channel
    return (
      start.hasSubscribers ||
      asyncEnd.hasSubscribers ||
      error.hasSubscribers ||
      end.hasSubscribers ||
      asyncStart.hasSubscribers
    )
  }

  trace<R>(work: () => Promise<R>, context: T): Promise<R> {
    return this.isHeard ? this.#channel.tracePromise(work, context) : work()
  }
}

/** The event point `holdfast:<name>`; `HOLDFAST_DEBUG=<first part of the name>` prints it to standard error. */
export function eventPoint<T extends object>(name: PointName): EventPoint<T> {
  if (diagnostics === undefined) return SILENT_EVENT
  const channel = diagnostics.channel(`holdfast:${name}`)
  if (isDebugged(name)) diagnostics.subscribe(`holdfast:${name}`, message => print(name, message))
  return new NodeEventPoint(channel)
}

/** The trace point `holdfast:<name>`; `HOLDFAST_DEBUG=<first part of the name>` prints its ends and errors to standard error. */
export function tracePoint<T extends object>(name: PointName): TracePoint<T> {
  if (diagnostics === undefined) return SILENT_TRACE
  if (isDebugged(name)) {
    diagnostics.subscribe(`tracing:holdfast:${name}:asyncEnd`, message => print(name, message))
  }
  return new NodeTracePoint<T>(diagnostics.tracingChannel<unknown, T>(`holdfast:${name}`) as TracingChannel<T>)
}

/** What is asked for. A name that stands for nothing would else print nothing, as one does of which nothing happens. */
function debuggedParts(given: string): ReadonlySet<string> {
  const names = new Set(given.split(',').map(name => name.trim()))
  names.delete('')
  const unknown = [...names].filter(name => !(PARTS as readonly string[]).includes(name))
  if (unknown.length > 0) {
    const got = unknown.map(name => JSON.stringify(name)).join(', ')
    node?.stderr.write(`holdfast: Expected HOLDFAST_DEBUG to be some of ${PARTS.join(',')}, got ${got}.\n`)
  }
  return names
}

function isDebugged(name: string): boolean {
  return debugged.has(name.split('.', 1)[0] ?? name)
}

function print(name: string, message: unknown): void {
  const facts = Object.entries(message as Readonly<Record<string, unknown>>)
    .filter(([, value]) => typeof value !== 'object' || value instanceof Error || hasText(value))
    .map(([key, value]) => `${key}=${String(value)}`)
  node?.stderr.write(`holdfast ${name} ${facts.join(' ')}\n`)
}

function hasText(value: object | null): boolean {
  return value !== null && value.toString !== Object.prototype.toString
}

/** What `holdfast:listener.error` carries. */
export interface ListenerError {
  readonly source: string
  readonly error: unknown
}

const listenerError: EventPoint<ListenerError> = eventPoint('listener.error')

/** Tells tools that a user's listener threw. Nothing else happens to the error. */
export function reportListenerError(source: string, error: unknown): void {
  listenerError.publish({ source, error })
}

/** The same of what a user's listener returned: one that is async rejects where another throws, which ends the process otherwise. */
export function reportListenerRejection(source: string, returned: unknown): void {
  if (typeof returned !== 'object' || returned === null) return
  // What `then` itself throws rejects as well.
  Promise.resolve(returned).catch((error: unknown) => reportListenerError(source, error))
}
