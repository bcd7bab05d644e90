import { EventEmitter } from 'eventemitter3'
import type { Subscription } from './live.ts'
import { reportListenerError, reportListenerRejection } from './telemetry.ts'

/** What can be listened to: event names, and what each one carries. */
export interface EventSource<Events extends object> {
  on<Name extends keyof Events & string>(name: Name, listener: (event: Events[Name]) => void): Subscription
}

/** Typed events. A listener that throws or rejects is reported (channel `holdfast:listener.error`) and keeps nobody from hearing. */
export class Emitter<Events extends object> implements EventSource<Events> {
  readonly #source: string
  readonly #emitter = new EventEmitter<string>()

  constructor(source: string) {
    this.#source = source
  }

  on<Name extends keyof Events & string>(name: Name, listener: (event: Events[Name]) => void): Subscription {
    const safely = (event: Events[Name]): void => {
      try {
        reportListenerRejection(this.#source, listener(event))
      } catch (error) {
        reportListenerError(this.#source, error)
      }
    }
    this.#emitter.on(name, safely)
    const close = (): void => void this.#emitter.off(name, safely)
    return { close, [Symbol.dispose]: close }
  }

  /** Whether anybody listens: what nobody hears need not be made. */
  hears(name: keyof Events & string): boolean {
    return this.#emitter.listenerCount(name) > 0
  }

  emit<Name extends keyof Events & string>(name: Name, event: Events[Name]): void {
    this.#emitter.emit(name, event)
  }
}
