import { onAbort } from './abort.ts'
import { reportListenerError, reportListenerRejection } from './telemetry.ts'

/** Something that listens until it is closed, once or many times. */
export interface Subscription extends Disposable {
  close(): void
}

/** How a listener is added to a `Live`. */
export interface SubscribeOptions {
  /** Ends the subscription when it aborts. */
  readonly signal?: AbortSignal
  /** Also deliver the current value, at once. @default false */
  readonly initial?: boolean
}

/** Hears a new value; `previous` is the one that this listener saw before. */
export type LiveListener<T> = (next: T, previous: T) => void

/**
 * A value that changes and is always readable now.
 *
 * Delivery is synchronous, in subscription order, after `current` has changed, and never nested: a change made during
 * delivery waits until all have heard the one before. A value that is the same by `Object.is` is not delivered. A listener
 * that throws or rejects is reported (channel `holdfast:listener.error`) and skipped.
 */
export interface Live<T> {
  readonly current: T
  subscribe(listener: LiveListener<T>, options?: SubscribeOptions): Subscription
}

class Subscriber<T> implements Subscription {
  readonly listener: LiveListener<T>
  readonly since: number
  readonly #leave: (subscriber: Subscriber<T>) => void
  #seen: T
  #isOpen = true
  #stopListening: () => void = () => {}

  constructor(listener: LiveListener<T>, seen: T, since: number, leave: (subscriber: Subscriber<T>) => void) {
    this.listener = listener
    this.since = since
    this.#seen = seen
    this.#leave = leave
  }

  closeWith(signal: AbortSignal | undefined): void {
    this.#stopListening = onAbort(signal, () => this.close())
  }

  hear(next: T): void {
    if (!this.#isOpen || Object.is(next, this.#seen)) return
    const previous = this.#seen
    this.#seen = next
    this.tell(next, previous)
  }

  tell(next: T, previous: T): void {
    try {
      reportListenerRejection('live', this.listener(next, previous))
    } catch (error) {
      reportListenerError('live', error)
    }
  }

  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#stopListening()
    this.#leave(this)
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

/** The source of a `Live`: whoever owns the value sets it. */
export class LiveValue<T> implements Live<T> {
  #current: T
  #subscribers: readonly Subscriber<T>[] = []
  #isDelivering = false
  #isClosed = false
  #changes = 0
  #queue: { readonly value: T; readonly change: number }[] = []

  constructor(initial: T) {
    this.#current = initial
  }

  get current(): T {
    return this.#current
  }

  /** How many listeners there are now. */
  get listenerCount(): number {
    return this.#subscribers.length
  }

  /** Changes the value. After `close` it does nothing. */
  set(next: T): void {
    if (this.#isClosed || Object.is(next, this.#current)) return
    this.#current = next
    this.#queue.push({ value: next, change: ++this.#changes })
    if (!this.#isDelivering) this.#deliver()
  }

  subscribe(listener: LiveListener<T>, options: SubscribeOptions = {}): Subscription {
    const subscriber = new Subscriber(listener, this.#current, this.#changes, left => {
      this.#subscribers = this.#subscribers.filter(other => other !== left)
    })
    if (this.#isClosed) subscriber.close()
    else this.#subscribers = [...this.#subscribers, subscriber]
    subscriber.closeWith(options.signal)
    if (wantsInitial(options)) subscriber.tell(this.#current, this.#current)
    return subscriber
  }

  /** Freezes `current` and drops every listener. */
  close(): void {
    this.#isClosed = true
    this.#queue = []
    for (const subscriber of this.#subscribers) subscriber.close()
  }

  #deliver(): void {
    this.#isDelivering = true
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      for (const subscriber of this.#subscribers) {
        // One that came after this change has seen it, or a later one, as its first value.
        if (subscriber.since < next.change) subscriber.hear(next.value)
      }
    }
    this.#isDelivering = false
  }
}

/**
 * A `Live` that follows another through a pure function. It is lazy: while nobody subscribes it holds no subscription, and
 * `current` is computed when it is read (once for each value of the source).
 *
 * @param equal two results that are equal are one value, and the listener is not called. @default Object.is
 */
export function mapLive<T, U>(
  live: Live<T>,
  project: (value: T) => U,
  equal: (a: U, b: U) => boolean = Object.is,
): Live<U> {
  let cached: { readonly from: T; readonly value: U } | undefined
  const read = (): U => {
    const from = live.current
    if (cached !== undefined && Object.is(cached.from, from)) return cached.value
    const fresh = project(from)
    cached = { from, value: cached !== undefined && equal(cached.value, fresh) ? cached.value : fresh }
    return cached.value
  }
  return {
    get current() {
      return read()
    },
    subscribe(listener, options = {}) {
      let seen = read()
      const onSource = (): void => {
        const next = read()
        if (Object.is(next, seen)) return
        const previous = seen
        seen = next
        // To the source, which reports a listener that rejects.
        return listener(next, previous)
      }
      const subscription = live.subscribe(onSource, options.signal === undefined ? {} : { signal: options.signal })
      if (wantsInitial(options)) tellSafely(listener, seen)
      return subscription
    },
  }
}

function wantsInitial({ initial, signal }: SubscribeOptions): boolean {
  return initial === true && signal?.aborted !== true
}

function tellSafely<U>(listener: LiveListener<U>, value: U): void {
  try {
    reportListenerRejection('live', listener(value, value))
  } catch (error) {
    reportListenerError('live', error)
  }
}
