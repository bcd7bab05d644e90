import { describe, expect, it } from 'vitest'
import { parseArguments } from './command-line.ts'

const SPECS = {
  backend: { value: 'URL', says: '' },
  output: { value: 'FILE', isMany: true, says: '' },
  yes: { short: 'y', says: '' },
  message: { value: 'TEXT', short: 'm', says: '' },
  limit: { value: 'N', says: '' },
  timeout: { value: 'TIME', says: '' },
}

function parse(...args: readonly string[]) {
  return parseArguments(args, SPECS)
}

describe('the command line', () => {
  it('takes options before, between and after the rest', () => {
    const args = parse('--backend', 'redis://h', 'a', '-y', 'b', '-m', 'why', '--limit=5')
    expect(args.positionals).toEqual(['a', 'b'])
    expect(args.text('backend')).toBe('redis://h')
    expect(args.text('message')).toBe('why')
    expect(args.has('yes')).toBe(true)
    expect(args.integer('limit', 1)).toBe(5)
  })

  it('takes negative numbers for what they are', () => {
    expect(parse('-2', '-1').positionals).toEqual(['-2', '-1'])
    expect(parse('--limit', '-3').text('limit')).toBe('-3')
  })

  it('takes everything behind -- as it is', () => {
    expect(parse('--', '--yes', '-m').positionals).toEqual(['--yes', '-m'])
  })

  it('takes a single dash for the standard input', () => {
    expect(parse('-').positionals).toEqual(['-'])
  })

  it('keeps the order of an option that is given often', () => {
    expect(parse('--output', 'a', '--output', 'b').texts('output')).toEqual(['a', 'b'])
  })

  it('names the nearest option to one that it does not know', () => {
    expect(() => parse('--outptu', 'x')).toThrow('Unknown option --outptu: did you mean --output?')
    expect(() => parse('--qqqqqqqq')).toThrow('Unknown option --qqqqqqqq: --help lists what there is.')
  })

  it('does not take the names of an object for options', () => {
    expect(() => parse('--constructor')).toThrow('Unknown option --constructor')
  })

  it('refuses an option without its value', () => {
    expect(() => parse('--backend')).toThrow('--backend URL')
    expect(() => parse('--backend', '--yes')).toThrow('--backend URL')
    expect(() => parse('--backend=')).toThrow('--backend URL')
  })

  it('takes a value that starts with a dash when it is joined', () => {
    expect(parse('--message=--why').text('message')).toBe('--why')
  })

  it('refuses a switch with a value, and an option given twice', () => {
    expect(() => parse('--yes=1')).toThrow('Expected --yes to have no value')
    expect(() => parse('--limit', '1', '--limit', '2')).toThrow('Expected --limit once')
  })

  it('reads times with their units, and refuses a bare number', () => {
    expect(parse('--timeout', '1.5s').durationMs('timeout')).toBe(1_500)
    expect(parse('--timeout', '200ms').durationMs('timeout')).toBe(200)
    expect(parse('--timeout', '2h').durationMs('timeout')).toBe(7_200_000)
    expect(parse().durationMs('timeout')).toBeUndefined()
    for (const text of ['10', '-1s', '1d', '9999h', 's']) {
      expect(() => parse(`--timeout=${text}`).durationMs('timeout')).toThrow('a time with its unit')
    }
  })

  it('refuses what is no integer, or too small', () => {
    for (const text of ['1.5', 'x', '0', '-2']) {
      expect(() => parse(`--limit=${text}`).integer('limit', 1)).toThrow('an integer from 1')
    }
  })
})
