import type { Redis } from 'ioredis'
import type { Clock, Timer } from '../clock.ts'
import type { Subscription } from '../live.ts'
import { reportListenerError } from '../telemetry.ts'
import { reconnectDelayMs } from './driver.ts'
import { SubscriberLink } from './subscriber-link.ts'

/** After so long a channel that was refused is asked for again: the right to it may have been given by then. */
const REFUSED_MS = 10_000

/** Who listens to a channel. */
export interface ChannelListener {
  message(text: string): void
  /** From now on messages come; what was sent before may have been missed. */
  live(): void
  /** Messages do not come any more, until the next `live`. */
  down(cause: unknown): void
}

/** What a subscriber is made of. */
export interface SubscriberSettings {
  readonly clock: Clock
  /** In [0, 1). */
  readonly jitter: () => number
  /** Makes a client to listen with, which is not connected yet and does not connect again by itself. */
  readonly open: () => Promise<Redis>
}

interface Channel {
  readonly name: string
  readonly listeners: Set<ChannelListener>
  state: 'asked' | 'live' | 'down'
  /** When it is asked for again. */
  timer: Timer | undefined
}

/**
 * Listens to channels over one connection, which is open while anybody listens. One that closes or falls silent is replaced by a
 * new one.
 */
export class Subscriber {
  readonly #settings: SubscriberSettings
  readonly #channels = new Map<string, Channel>()
  #link: SubscriberLink | undefined
  #isUp = false
  #retry: Timer | undefined
  #failures = 0

  constructor(settings: SubscriberSettings) {
    this.#settings = settings
  }

  /** The listener is told `live` once the server has said so; nothing is told before this returns. */
  listen(name: string, listener: ChannelListener): Subscription {
    const channel = this.#channels.get(name) ?? this.#add(name)
    channel.listeners.add(listener)
    if (channel.state === 'live') queueMicrotask(() => channel.listeners.has(listener) && heard(() => listener.live()))
    const close = (): void => {
      if (channel.listeners.delete(listener) && channel.listeners.size === 0) this.#remove(channel)
    }
    return { close, [Symbol.dispose]: close }
  }

  /** Tells the listeners of a channel something, as if it had been published. */
  tell(name: string, text: string): void {
    for (const listener of [...(this.#channels.get(name)?.listeners ?? [])]) heard(() => listener.message(text))
  }

  /** Ends all listening, and tells nobody. */
  close(): void {
    for (const channel of [...this.#channels.values()]) this.#remove(channel)
  }

  #add(name: string): Channel {
    const channel: Channel = { name, listeners: new Set(), state: 'asked', timer: undefined }
    this.#channels.set(name, channel)
    if (this.#isUp) this.#subscribe(channel)
    else if (this.#link === undefined && this.#retry === undefined) this.#open()
    return channel
  }

  #remove(channel: Channel): void {
    if (this.#channels.get(channel.name) !== channel) return
    channel.timer?.cancel()
    this.#channels.delete(channel.name)
    if (this.#channels.size > 0) return this.#link?.unsubscribe(channel.name)
    this.#retry?.cancel()
    this.#retry = undefined
    this.#link?.close()
    this.#link = undefined
    this.#isUp = false
  }

  #open(): void {
    const link = new SubscriberLink(this.#settings.clock, {
      up: () => {
        this.#isUp = true
        for (const channel of this.#channels.values()) this.#subscribe(channel)
      },
      message: (name, text) => this.tell(name, text),
      over: cause => this.#onOver(cause),
    })
    this.#link = link
    void link.start(this.#settings.open)
  }

  // One at a time: that one is refused says nothing of the others.
  #subscribe(channel: Channel): void {
    this.#link?.subscribe(channel.name).then(
      () => {
        if (this.#channels.get(channel.name) !== channel) return
        this.#failures = 0
        channel.state = 'live'
        for (const listener of [...channel.listeners]) heard(() => listener.live())
      },
      (refusal: unknown) => {
        if (this.#channels.get(channel.name) !== channel) return
        channel.timer = this.#settings.clock.setTimer(() => this.#isUp && this.#subscribe(channel), REFUSED_MS)
        setDown(channel, refusal)
      },
    )
  }

  #onOver(cause: unknown): void {
    this.#link = undefined
    this.#isUp = false
    this.#failures += 1
    const open = (): void => {
      this.#retry = undefined
      this.#open()
    }
    this.#retry = this.#settings.clock.setTimer(open, reconnectDelayMs(this.#failures, this.#settings.jitter))
    for (const channel of [...this.#channels.values()]) {
      channel.timer?.cancel()
      setDown(channel, cause)
    }
  }
}

function setDown(channel: Channel, cause: unknown): void {
  if (channel.state === 'down') return
  channel.state = 'down'
  for (const listener of [...channel.listeners]) heard(() => listener.down(cause))
}

function heard(event: () => void): void {
  try {
    event()
  } catch (error) {
    reportListenerError('records', error)
  }
}
