import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { COMMANDS } from './commands/all.ts'
import { EXIT } from './exit-codes.ts'
import { helpOf, overview } from './help.ts'
import { Holdfast } from './holdfast.fixture.ts'
import { COMMON_OPTIONS } from './option-specs.ts'

const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

describe('the help', () => {
  it('lists every command, and each lists its options', () => {
    for (const command of COMMANDS) {
      expect(overview(COMMANDS)).toContain(`  ${command.name} `)
      for (const name of Object.keys({ ...COMMON_OPTIONS, ...command.options })) {
        expect(helpOf(command)).toContain(`  --${name}`)
      }
    }
  })

  it('has no option twice, nor a short name', () => {
    for (const { options } of COMMANDS) {
      const shorts = Object.values({ ...COMMON_OPTIONS, ...options }).flatMap(({ short }) => short ?? [])
      expect(new Set(shorts).size).toBe(shorts.length)
      expect(Object.keys(COMMON_OPTIONS).filter(name => Object.hasOwn(options, name))).toEqual([])
    }
  })

  it('that nobody reads to its end ends quietly', async () => {
    const help = new Holdfast({}).start('--help')
    help.leave()
    expect(await help.code()).toBe(0)
    expect(help.stderr).toBe('')
  })

  it('and the page say the same of commands and exit codes', () => {
    for (const { name, positionals, says } of COMMANDS) {
      const call = `${name} ${positionals}`.trim().replaceAll('|', String.raw`\|`)
      expect(README).toContain(`| \`${call}\` | ${says} |`)
    }
    for (const { code, says } of Object.values(EXIT)) expect(README).toContain(`| ${code} | ${says} |`)
  })
})
