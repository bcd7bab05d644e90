const SLOTS_FIRST = 64
const LOOKS_MAX = 32
const SHARED_STATES = 1_024

/** What tells a table which keys it can forget. */
export interface KeyJudge {
  /** Whether nothing is lost when the state of `key` is. */
  isWhole(key: string, state: Float64Array, at: number, nowMs: number): boolean
}

/**
 * The states of many keys in bounded memory. It forgets only keys whose quota is whole, for which that makes no difference: however
 * many other keys somebody makes up, none that is limited is ever reset.
 *
 * Where all keys that it looks at are in use, new ones get no state of their own but one of 1024 that they share, by a hash that
 * nobody outside can foretell: they may be refused for what others took, and never get more than their quota. A key that gets a
 * state of its own later takes over what stands in the shared one.
 */
export class KeyTable {
  /** All states side by side. Another array after any `claim`. */
  state: Float64Array
  readonly #width: number
  readonly #hashSeed: number
  readonly #places = new Map<string, number>()
  readonly #keys: string[] = []
  #shared: Float64Array | undefined
  #keysMax: number
  #hand = 0
  #evictions = 0

  constructor({ width, keysMax, hashSeed }: { width: number; keysMax: number; hashSeed: number }) {
    this.#width = width
    this.#keysMax = keysMax
    this.#hashSeed = hashSeed
    this.state = new Float64Array(width * Math.min(SLOTS_FIRST, keysMax))
  }

  get size(): number {
    return this.#keys.length
  }

  get evictions(): number {
    return this.#evictions
  }

  /** The states of keys that found no place; undefined as long as there was one for all. */
  get shared(): Float64Array | undefined {
    return this.#shared
  }

  /** Fewer than there are now takes no place away. */
  setKeysMax(keysMax: number): void {
    this.#keysMax = keysMax
  }

  /** Where the state of a key stands; undefined where it has none of its own. */
  find(key: string): number | undefined {
    return this.#places.get(key)
  }

  /** The place of a key that had none, with a state of 0, or undefined. */
  claim(key: string, judge: KeyJudge, nowMs: number): number | undefined {
    const index = this.#keys.length < this.#keysMax ? this.#keys.length : this.#freed(judge, nowMs)
    if (index === undefined) return undefined
    const at = index * this.#width
    this.#keys[index] = key
    this.#places.set(key, at)
    if (at >= this.state.length) this.#grow()
    this.state.fill(0, at, at + this.#width)
    return at
  }

  /** Where the state stands that a key without a place shares with others, in `shared`. */
  shareOf(key: string): number {
    this.#shared ??= new Float64Array(SHARED_STATES * this.#width)
    return (hash(key, this.#hashSeed) % SHARED_STATES) * this.#width
  }

  /** Calls `visit` with each key that has a place. */
  each(visit: (key: string, at: number) => void): void {
    this.#places.forEach((at, key) => visit(key, at))
  }

  /** The next place, clockwise, of a key that can be forgotten. */
  #freed(judge: KeyJudge, nowMs: number): number | undefined {
    for (let looks = Math.min(LOOKS_MAX, this.#keys.length); looks > 0; looks--) {
      const index = this.#hand
      this.#hand = (index + 1) % this.#keys.length
      const key = this.#keys[index] as string
      if (!judge.isWhole(key, this.state, index * this.#width, nowMs)) continue
      this.#places.delete(key)
      this.#evictions += 1
      return index
    }
    return undefined
  }

  #grow(): void {
    const larger = new Float64Array(this.state.length * 2)
    larger.set(this.state)
    this.state = larger
  }
}

/** FNV-1a. */
function hash(key: string, seed: number): number {
  let mixed = seed >>> 0
  for (let index = 0; index < key.length; index++) mixed = Math.imul(mixed ^ key.charCodeAt(index), 16_777_619)
  return (mixed ^ (mixed >>> 15)) >>> 0
}
