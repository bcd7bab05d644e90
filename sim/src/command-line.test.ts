import { expect, it } from 'vitest'
import { CommandLineError, headline, parseCommandLine, usage } from './command-line.ts'

const SUITES = ['overload']

it('runs a suite with three seeds from 1 on, where nothing else is said', () => {
  expect(parseCommandLine(['overload'], SUITES)).toEqual({
    kind: 'suite',
    suite: 'overload',
    seeds: [1, 2, 3],
    isJson: false,
  })
  expect(parseCommandLine(['overload', '--seed', '7', '--runs=2', '--json'], SUITES)).toEqual({
    kind: 'suite',
    suite: 'overload',
    seeds: [7, 8],
    isJson: true,
  })
  expect(parseCommandLine(['plots'], SUITES)).toEqual({ kind: 'plots' })
  expect(parseCommandLine(['--help'], SUITES)).toBeUndefined()
})

it('runs locks where no suite is named', () => {
  const locks = { kind: 'locks', seed: 1, runs: 200, hasGuards: true, isJson: false }
  expect(parseCommandLine([], SUITES)).toEqual(locks)
  expect(parseCommandLine(['--runs', '2000'], SUITES)).toEqual({ ...locks, runs: 2_000 })
  expect(parseCommandLine(['locks', '--seed=9', '--without-guards', '--json'], SUITES)).toEqual({
    ...locks,
    seed: 9,
    hasGuards: false,
    isJson: true,
  })
})

it('runs quorums as often as locks', () => {
  expect(parseCommandLine(['quorum'], SUITES)).toEqual({ kind: 'quorum', seed: 1, runs: 200, isJson: false })
  expect(parseCommandLine(['quorum', '--seed', '3', '--runs', '2000', '--json'], SUITES)).toEqual({
    kind: 'quorum',
    seed: 3,
    runs: 2_000,
    isJson: true,
  })
})

it.each([
  [['overlode'], 'Expected one of locks, quorum, overload, plots, got overlode.'],
  [['lock'], 'Expected one of locks, quorum, overload, plots, got lock. Did you mean locks?'],
  [['quorums'], 'Expected one of locks, quorum, overload, plots, got quorums. Did you mean quorum?'],
  [[''], 'Expected one of locks, quorum, overload, plots, got .'],
  [['overload', 'plots'], 'Expected one of locks, quorum, overload, plots, got overload plots.'],
  [['overload', '--fast'], 'Expected the options --seed, --runs, --json, --without-guards, --help, got --fast.'],
  [['quorum', '--without-guards'], 'Expected --without-guards only with locks.'],
  [['overload', '--without-guards'], 'Expected --without-guards only with locks.'],
  [['locks', '--runs', '1000001'], 'Expected --runs to be an integer from 1 to 1000000, got "1000001".'],
  [
    ['overload', '--seed'],
    'Expected a number behind --seed and --runs, and nothing behind the others, got overload --seed.',
  ],
  [
    ['overload', '--seed', '-1'],
    'Expected a number behind --seed and --runs, and nothing behind the others, got overload --seed -1.',
  ],
  [['overload', '--runs', '0'], 'Expected --runs to be an integer from 1 to 1000, got "0".'],
  [['overload', '--runs', '1e2'], 'Expected --runs to be an integer from 1 to 1000, got "1e2".'],
  [['plots', '--json'], 'Expected plots without options.'],
])('refuses %j in a sentence', (words, message) => {
  expect(() => parseCommandLine(words, SUITES)).toThrow(new CommandLineError(message))
})

it('says what there is', () => {
  expect(usage([{ name: 'overload', about: 'too much' }])).toContain('  overload   too much')
})

it('says first which suite it is, to people alone', () => {
  const headOf = (...words: string[]): string | undefined => {
    const request = parseCommandLine(words, SUITES)
    if (request === undefined || request.kind === 'plots') throw new Error('Expected a suite.')
    return headline(request)
  }
  expect(headOf()).toBe('Suite locks, 200 seeds from 1. What else there is: npm run sim -- --help')
  expect(headOf('quorum', '--seed', '7', '--runs', '1')).toMatch(/^Suite quorum, seed 7\./)
  expect(headOf('overload', '--seed', '7')).toMatch(/^Suite overload, 3 seeds from 7\./)
  expect(headOf('locks', '--json')).toBeUndefined()
})
