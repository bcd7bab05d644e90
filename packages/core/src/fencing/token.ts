import { InvalidArgumentError } from '../errors.ts'
import { show } from '../names.ts'

const DIGITS = 20
const VALUE_MAX = 2n ** 64n - 1n
const DECIMAL = /^\d{1,20}$/

/**
 * A number that grows with every grant of a resource. Whoever protects the resource keeps the newest token that it has seen
 * and refuses an older one, so a holder that slept past its lease cannot write.
 *
 * Tokens compare as numbers with `<` and `>` (`valueOf`), and as text once formatted: `toString` is always 20 digits.
 *
 * @see https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html
 */
export class FencingToken {
  /** From 0 to 2^64 - 1. */
  readonly value: bigint

  /** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when the value is negative or needs more than 64 bits. */
  constructor(value: bigint) {
    if (typeof value !== 'bigint' || value < 0n || value > VALUE_MAX) {
      throw new InvalidArgumentError('token', `Expected a fencing token from 0n to 2n ** 64n - 1n, got ${show(value)}.`)
    }
    this.value = value
  }

  /**
   * Reads 1 to 20 decimal digits, zeros in front or not.
   *
   * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for anything else.
   */
  static parse(text: string): FencingToken {
    if (typeof text !== 'string' || !DECIMAL.test(text)) {
      throw new InvalidArgumentError('token', `Expected a fencing token of 1 to 20 decimal digits, got ${show(text)}.`)
    }
    return new FencingToken(BigInt(text))
  }

  /** 20 digits, so that text order is number order: in SQL, in Lua, in headers. */
  toString(): string {
    return this.value.toString().padStart(DIGITS, '0')
  }

  /** The same text: JSON numbers would lose digits. */
  toJSON(): string {
    return this.toString()
  }

  valueOf(): bigint {
    return this.value
  }
}
