/** Where chance comes from. */
export interface Random {
  /** A number in [0, 1). */
  next(): number
  /** `count` bytes that nobody can guess (seeded sources are for tests). */
  bytes(count: number): Uint8Array
}

const POOL_BYTES = 4_096
let pool = new Uint8Array(0)
let drawnBytes = 0

/** The machine's own randomness. */
export const systemRandom: Random = Object.freeze({ next: () => Math.random(), bytes: systemBytes })

// An id has a few bytes, and to ask the machine costs as much for many.
function systemBytes(count: number): Uint8Array {
  if (count > POOL_BYTES / 4) return crypto.getRandomValues(new Uint8Array(count))
  if (drawnBytes + count > pool.length) {
    pool = crypto.getRandomValues(new Uint8Array(POOL_BYTES))
    drawnBytes = 0
  }
  const bytes = pool.slice(drawnBytes, drawnBytes + count)
  // What was given away stands nowhere else.
  pool.fill(0, drawnBytes, drawnBytes + count)
  drawnBytes += count
  return bytes
}

/**
 * The same numbers for the same seed, for tests and simulations.
 *
 * @see mulberry32 by Tommy Ettinger (public domain)
 */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  return { next, bytes: count => Uint8Array.from({ length: count }, () => Math.floor(next() * 256)) }
}

/** Lower-case hexadecimal text of some bytes. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
}
