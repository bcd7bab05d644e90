import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { HoldfastErrorCode, LeaseLostReason } from './errors.ts'
import {
  ClosedError,
  ConflictError,
  DriverError,
  HoldfastError,
  InvalidArgumentError,
  InvariantError,
  LeaseLostError,
  RefusedError,
  StaleTokenError,
  UnavailableError,
  UnknownOutcomeError,
  UnsupportedError,
  WaitTimeoutError,
  assertNever,
} from './errors.ts'
import { FencingToken } from './fencing/token.ts'

const page = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8')
const cause = new Error('why')

/** Codes whose classes are in another package, which holds them to the page in a test of its own. */
const ELSEWHERE = {
  HF_INVALID_CONFIG: '@holdfast/config-client',
  HF_NO_CONFIG: '@holdfast/config-client',
  HF_UNTRUSTED: '@holdfast/config-client',
  HF_FORBIDDEN: '@holdfast/config-client',
  HF_REJECTED: '@holdfast/resilience',
  HF_TIMEOUT: '@holdfast/resilience',
  HF_IN_FLIGHT: '@holdfast/resilience',
  HF_KEY_REUSED: '@holdfast/resilience',
} as const satisfies Partial<Record<HoldfastErrorCode, string>>

// As records, so that the compiler misses the code or the reason that is added and not listed here.
const EXAMPLES: Readonly<Record<Exclude<HoldfastErrorCode, keyof typeof ELSEWHERE>, HoldfastError>> = {
  HF_INVALID_ARGUMENT: new InvalidArgumentError('ttlMs', 'Expected more.'),
  HF_WAIT_TIMEOUT: new WaitTimeoutError('r', 5),
  HF_UNAVAILABLE: new UnavailableError('Away.', { cause }),
  HF_REFUSED: new RefusedError('No.', { cause }),
  HF_UNKNOWN_OUTCOME: new UnknownOutcomeError('Who knows.', { cause }),
  HF_LEASE_LOST: new LeaseLostError('r', 'expired'),
  HF_STALE_TOKEN: new StaleTokenError('r', new FencingToken(1n), new FencingToken(2n)),
  HF_CONFLICT: new ConflictError('the head', { expected: '1', actual: '2' }),
  HF_CLOSED: new ClosedError('backend'),
  HF_UNSUPPORTED: new UnsupportedError('Never.'),
  HF_DRIVER: new DriverError('Missing.', { cause }),
  HF_INVARIANT: new InvariantError('Impossible.'),
}

const REASONS: Readonly<Record<LeaseLostReason, true>> = {
  expired: true,
  revoked: true,
  'session-lost': true,
  'hold-limit': true,
  closed: true,
  released: true,
  'scope-ended': true,
}

/** The section of the page about a code. */
function sectionOf(code: string): string {
  return page.split(/^## /m).find(section => section.startsWith(`${code}\n`)) ?? ''
}

function rowsOf(text: string): string[] {
  return [...text.matchAll(/^\| \[?`([^`]+)`/gm)].map(([, name = '']) => name)
}

describe('The errors of Holdfast', () => {
  const codes = [...Object.keys(EXAMPLES), ...Object.keys(ELSEWHERE)]

  it('are the sections of docs/errors.md, and no others', () => {
    expect(new Set([...page.matchAll(/^## (\S+)$/gm)].map(([, code]) => code))).toEqual(new Set(codes))
  })

  it('are the rows of its table, and no others', () => {
    expect(new Set(rowsOf(page.slice(0, page.indexOf('\n## '))))).toEqual(new Set(codes))
  })

  it.each(Object.entries(EXAMPLES))('%s is the code of the class that its section names first', (code, error) => {
    expect(error.code).toBe(code)
    expect(error).toBeInstanceOf(HoldfastError)
    expect(error.name).toBe(error.constructor.name)
    expect(sectionOf(code)).toMatch(new RegExp(`^${code}\\n\\n\`${error.name}\`\\.`))
  })

  it.each(Object.entries(EXAMPLES))('%s has the fields that its section lists, and no others', (code, error) => {
    const listed = /^- Fields: (.*)$/m.exec(sectionOf(code))?.[1] ?? ''
    const named = [...listed.replace(/\(.*\)/, '').matchAll(/`(\w+)`/g)].map(([, name]) => name)
    const own = Object.getOwnPropertyNames(error).filter(name => !['stack', 'message', 'name', 'code'].includes(name))
    expect(new Set(own)).toEqual(new Set(named))
  })

  it.each(Object.entries(ELSEWHERE))('%s is of the package that its section names', (code, name) => {
    expect(sectionOf(code)).toMatch(new RegExp(`^${code}\\n\\n\`\\w+Error\`, of \`${name}\`\\.`))
  })

  it('say of a conflict what was expected and what it is, and who won where that is known', () => {
    expect(EXAMPLES.HF_CONFLICT.message).toBe('Expected the head to be 1, and it is 2. Nothing was written.')
    expect(new ConflictError('the head', { expected: '1', actual: '2', winner: 'ada' }).message).toBe(
      'Expected the head to be 1, and it is 2, by ada. Nothing was written.',
    )
  })

  it('say why a lease was lost in the words of the page', () => {
    expect(new Set(rowsOf(sectionOf('HF_LEASE_LOST')))).toEqual(new Set(Object.keys(REASONS)))
    for (const reason of Object.keys(REASONS) as LeaseLostReason[]) {
      expect(new LeaseLostError('r', reason).message).toMatch(/^The lease on "r" is lost: [^:]+\.$/)
    }
  })

  it('say what a caller who did not wait, and one who waited, wants to know', () => {
    expect(new WaitTimeoutError('r', 0).message).toContain('did not want to wait')
    expect(new WaitTimeoutError('r', 70).message).toContain('after waiting 70 ms')
  })

  it('show the newest token where the guard can tell', () => {
    expect(EXAMPLES.HF_STALE_TOKEN.message).toBe(
      'The token 1 of "r" is stale: the guard has seen 2. Nothing was changed.',
    )
    expect(new StaleTokenError('r', new FencingToken(1n), undefined).message).toBe(
      'The token 1 of "r" is stale. Nothing was changed.',
    )
  })

  it('end a switch that should have had a case', () => {
    expect(() => assertNever('surprise' as never)).toThrow('No case for "surprise".')
  })
})
