import type { Live, Subscription } from '@holdfast/core'
import { Emitter, eventPoint, InvalidArgumentError, show } from '@holdfast/core'

/** Settings of which each may be a value that changes, or all together one `Live`. */
export type LiveOptions<O extends object> = Live<O> | { readonly [K in keyof O]: O[K] | Live<NonNullable<O[K]>> }

/** What a policy goes by, as it is now. */
export interface Rule<O extends object> {
  /** Checked, with defaults, frozen; the same object until it changes. */
  readonly current: Readonly<O>
  /** 1, and one more with each accepted change. */
  readonly version: number
  /** Why the last change was refused; undefined when it was accepted. What was there before stays in force. */
  readonly refusal: Error | undefined
  /** `listener` is called after each accepted change. */
  onChange(listener: (next: Readonly<O>, previous: Readonly<O>) => void): void
  /** Follows no `Live` any more. */
  close(): void
}

/** What `holdfast:resilience.rule` carries. */
export interface RuleEvent {
  readonly event: 'changed' | 'changeRefused'
  readonly policy: string
  readonly rule: string
  readonly version: number
  readonly cause: unknown
}

const ruleEvent = eventPoint<RuleEvent>('resilience.rule')

class LiveRule<O extends object> implements Rule<O> {
  current: Readonly<O>
  version = 1
  refusal: Error | undefined = undefined
  readonly #policy: string
  readonly #read: () => Readonly<O>
  readonly #subscriptions: Subscription[] = []
  readonly #changes = new Emitter<{ changed: { readonly next: Readonly<O>; readonly previous: Readonly<O> } }>(
    'resilience.rule',
  )

  constructor(policy: string, sources: readonly Live<unknown>[], read: () => Readonly<O>) {
    this.#policy = policy
    this.#read = read
    this.current = read()
    for (const source of sources) this.#subscriptions.push(source.subscribe(() => this.#refresh()))
  }

  onChange(listener: (next: Readonly<O>, previous: Readonly<O>) => void): void {
    this.#changes.on('changed', ({ next, previous }) => listener(next, previous))
  }

  close(): void {
    for (const subscription of this.#subscriptions.splice(0)) subscription.close()
  }

  #refresh(): void {
    const previous = this.current
    try {
      this.current = this.#read()
      this.version += 1
      this.refusal = undefined
    } catch (cause) {
      this.refusal = cause instanceof Error ? cause : new Error('A check threw what is no error.', { cause })
    }
    this.#publish(this.refusal === undefined ? 'changed' : 'changeRefused')
    if (this.refusal === undefined) this.#changes.emit('changed', { next: this.current, previous })
  }

  #publish(event: RuleEvent['event']): void {
    if (!ruleEvent.isHeard) return
    const rule = (this.current as { readonly name?: string }).name ?? this.#policy
    ruleEvent.publish({ event, policy: this.#policy, rule, version: this.version, cause: this.refusal })
  }
}

/**
 * The rule of a policy, from what its user gave: plain values, `Live` ones, or one `Live` of all. A change is taken as a whole: where
 * any value is refused by `check`, nothing changes, and the refusal is reported (channel `holdfast:resilience.rule`, `describe()`).
 *
 * @param check from what was given, `Live` values read, to what is in force: fills in defaults and throws `InvalidArgumentError`.
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when what was given at first is refused.
 */
export function openRule<G extends object, O extends object>(
  policy: string,
  given: LiveOptions<G>,
  check: (options: G) => O,
): Rule<O> {
  if (typeof given !== 'object' || given === null) {
    throw new InvalidArgumentError('options', `Expected the options of ${policy} to be an object, got ${show(given)}.`)
  }
  const read = (): Readonly<O> => Object.freeze(check(valuesOf<G>(given)))
  const sources = isLive(given) ? [given] : Object.values(given).filter(isLive)
  return new LiveRule(policy, sources, read)
}

function valuesOf<G extends object>(given: LiveOptions<G>): G {
  if (isLive(given))
    return isObject(given.current) ? withoutUndefined<G>(Object.entries(given.current)) : (given.current as G)
  return withoutUndefined(Object.entries(given).map(([key, value]) => [key, isLive(value) ? value.current : value]))
}

function withoutUndefined<G extends object>(entries: readonly (readonly [string, unknown])[]): G {
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined)) as G
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function isLive(value: unknown): value is Live<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'current' in value &&
    typeof (value as { readonly subscribe?: unknown }).subscribe === 'function'
  )
}
