import { readFileSync } from 'node:fs'
import { HoldfastError } from '@holdfast/core'
import { describe, expect, it } from 'vitest'
import { describeIssue, ForbiddenError, InvalidConfigError, NoConfigError, UntrustedReleaseError } from './errors.ts'

const page = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8')
const cause = new Error('why')
const issue = { namespace: 'checkout', path: ['db', 'poolMax'], message: 'too many.' }

const EXAMPLES: readonly HoldfastError[] = [
  new InvalidConfigError('The release was not published', [issue]),
  new NoConfigError('There is none.', { cause }),
  new UntrustedReleaseError('It was altered.', { cause }),
  new ForbiddenError('No.'),
]

/** The section of the page about a code. */
function sectionOf(code: string): string {
  return page.split(/^## /m).find(section => section.startsWith(`${code}\n`)) ?? ''
}

describe('The errors of configuration', () => {
  it('are those that docs/errors.md says are of this package', () => {
    const sections = [...page.matchAll(/^## (\S+)\n\n`\w+`, of `@holdfast\/config-client`/gm)].map(([, code]) => code)
    expect(new Set(sections)).toEqual(new Set(EXAMPLES.map(({ code }) => code)))
  })

  it.each(EXAMPLES.map(error => [error.code, error] as const))(
    '%s is the code of the class that its section names first',
    (code, error) => {
      expect(error).toBeInstanceOf(HoldfastError)
      expect(error.name).toBe(error.constructor.name)
      expect(sectionOf(code)).toMatch(new RegExp(`^${code}\\n\\n\`${error.name}\`, of \`@holdfast/config-client\`\\.`))
    },
  )

  it.each(EXAMPLES.map(error => [error.code, error] as const))(
    '%s has the fields that its section lists, and no others',
    (code, error) => {
      const listed = /^- Fields: (.*)$/m.exec(sectionOf(code))?.[1] ?? ''
      const named = [...listed.replace(/\(.*\)/, '').matchAll(/`(\w+)`/g)].map(([, name]) => name)
      const own = Object.getOwnPropertyNames(error).filter(name => !['stack', 'message', 'name', 'code'].includes(name))
      expect(new Set(own)).toEqual(new Set(named))
    },
  )

  it('say each issue with its namespace and path', () => {
    const whole = { namespace: 'limits', path: [], message: 'min is above max' }
    expect(new InvalidConfigError('Release 7 was not published', [issue, whole]).message).toBe(
      'Release 7 was not published: checkout.db.poolMax: too many; limits: min is above max.',
    )
    expect(describeIssue(issue)).toBe('checkout.db.poolMax: too many')
  })
})
