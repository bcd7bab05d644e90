import { inspect } from 'node:util'

const HIDDEN = '[secret]'

/**
 * A value that does not show itself: in logs, in JSON, in template texts and in `util.inspect` it is `[secret]`. Only `reveal` gives
 * it out.
 */
export class Secret<T> {
  readonly #value: T

  constructor(value: T) {
    this.#value = value
    Object.freeze(this)
  }

  /** The value. Keep it out of logs, errors and labels. */
  reveal(): T {
    return this.#value
  }

  toString(): string {
    return HIDDEN
  }

  toJSON(): string {
    return HIDDEN
  }

  static {
    // Not a method: its name is a symbol of Node's, which a declaration file cannot name.
    Object.defineProperty(Secret.prototype, inspect.custom, { value: () => HIDDEN })
  }
}
