import { show } from '@holdfast/core'
import { UntrustedReleaseError } from '../errors.ts'
import type { Json, JsonObject } from './json.ts'
import { isJsonArray, isJsonObject } from './json.ts'

/** An object from a store, read field by field. What is missing, unknown or of another type throws `UntrustedReleaseError`. */
export class Fields {
  readonly #what: string
  readonly #values: JsonObject

  /** @param what the object in a sentence, with its article: `a release` */
  constructor(what: string, values: Json | undefined, known: readonly string[]) {
    if (!isJsonObject(values)) throw unexpected(what, 'an object', values)
    const unknown = Object.keys(values).find(name => !known.includes(name))
    if (unknown !== undefined) throw unexpected(what, `nothing but ${known.join(', ')}`, unknown)
    this.#what = what
    this.#values = values
  }

  text(name: string): string {
    const value = this.#values[name]
    return typeof value === 'string' ? value : this.#refuse(name, 'a text')
  }

  matching(name: string, { pattern, expected }: { readonly pattern: RegExp; readonly expected: string }): string {
    const value = this.#values[name]
    return typeof value === 'string' && pattern.test(value) ? value : this.#refuse(name, expected)
  }

  oneOf<Value extends string>(name: string, values: readonly Value[]): Value {
    return values.find(value => value === this.#values[name]) ?? this.#refuse(name, `one of ${values.join(', ')}`)
  }

  number(
    name: string,
    { min, max, integer }: { readonly min: number; readonly max: number; readonly integer: boolean },
  ): number {
    const value = this.#values[name]
    if (typeof value === 'number' && value >= min && value <= max && (!integer || Number.isInteger(value))) return value
    return this.#refuse(name, `${integer ? 'an integer' : 'a number'} from ${min} to ${max}`)
  }

  list(name: string): readonly Json[] {
    const value = this.#values[name]
    return isJsonArray(value) ? value : this.#refuse(name, 'a list')
  }

  object(name: string): JsonObject {
    const value = this.#values[name]
    return isJsonObject(value) ? value : this.#refuse(name, 'an object')
  }

  /** Undefined where the field is missing. */
  optional<Value>(name: string, read: (value: Json) => Value): Value | undefined {
    const value = this.#values[name]
    return value === undefined ? undefined : read(value)
  }

  #refuse(name: string, expected: string): never {
    throw unexpected(`\`${name}\` of ${this.#what}`, expected, this.#values[name])
  }
}

function unexpected(what: string, expected: string, seen: unknown): UntrustedReleaseError {
  return new UntrustedReleaseError(`Expected ${what} to be ${expected}, got ${show(seen)}.`)
}
