import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  InFlightError,
  isRejection,
  KeyReusedError,
  RejectedError,
  rejected,
  timedOut,
  TimeoutError,
} from './errors.ts'

const page = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8')
const rejection = { policy: 'rateLimit', rule: 'orders', ruleVersion: 1, reason: 'rate-limited' } as const

const ERRORS = [
  new RejectedError(rejection),
  new TimeoutError(5, 'slow'),
  new InFlightError('k', 100),
  new KeyReusedError('k'),
]

describe('the errors of this package', () => {
  it('are those that docs/errors.md says are of this package', () => {
    const claimed = [...page.matchAll(/^## (HF_\w+)\n\n`\w+`, of `@holdfast\/resilience`/gm)].map(match => match[1])
    expect(ERRORS.map(({ code }) => code).sort()).toEqual(claimed.sort())
  })

  it.each(ERRORS.map(error => [error.code, error] as const))(
    '%s has its class and its fields on the page',
    (code, error) => {
      const section = page.split(`\n## ${code}\n`)[1]?.split('\n## ')[0] ?? ''
      expect(section).toContain(`\`${error.name}\``)
      const fields = Object.keys(error).filter(key => key !== 'name' && key !== 'code')
      for (const field of fields) expect(section).toContain(`\`${field}\``)
    },
  )

  it('have no stack where many of them are made, and leave the limit of stacks as it was', () => {
    const limit = Error.stackTraceLimit
    expect(rejected(rejection).stack).not.toContain('\n    at ')
    expect(timedOut(5, 'slow').stack).not.toContain('\n    at ')
    expect(Error.stackTraceLimit).toBe(limit)
  })

  it('are told by their code, so that those of another copy of the package count', () => {
    expect(isRejection({ code: 'HF_REJECTED' })).toBe(true)
    expect(isRejection({ isBrokenCircuitError: true })).toBe(true)
    expect(isRejection(new Error('down'))).toBe(false)
    expect(isRejection(undefined)).toBe(false)
  })
})
