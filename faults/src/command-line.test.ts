import { describe, expect, it } from 'vitest'
import { CommandLineError, parseCommandLine, usage } from './command-line.ts'

describe('parseCommandLine', () => {
  it('takes everything when nothing is named', () => {
    const request = parseCommandLine([])
    expect(request?.scenarios.length).toBeGreaterThan(10)
    expect(request).toMatchObject({
      backends: ['memory', 'redis', 'sentinel', 'quorum', 'zookeeper', 'ensemble', 'postgres'],
      runs: undefined,
      isJson: false,
    })
  })

  it('takes a suite or a scenario by its name', () => {
    const [locks, configs] = [parseCommandLine(['lock']), parseCommandLine(['config'])]
    expect([...(locks?.scenarios ?? []), ...(configs?.scenarios ?? [])]).toEqual(parseCommandLine([])?.scenarios)
    const request = parseCommandLine(['black-hole', '--backend', 'redis', '--runs', '50', '--json'])
    expect(request).toMatchObject({ backends: ['redis'], runs: 50, isJson: true })
    expect(request?.scenarios.map(({ name }) => name)).toEqual(['black-hole'])
  })

  it('answers nothing when asked for help, which names every option and scenario', () => {
    expect(parseCommandLine(['--help'])).toBeUndefined()
    expect(parseCommandLine(['lock', '-h'])).toBeUndefined()
    const names = parseCommandLine([])?.scenarios.map(({ name }) => name) ?? []
    for (const word of ['--backend', '--runs', '--json', 'Suite lock', ...names]) expect(usage()).toContain(word)
  })

  it.each([
    [['toString'], /no suite or scenario "toString": there are lock, config, sigkill-holder, /],
    [
      ['--backend', 'mysql'],
      /no backend "mysql": there are memory, redis, sentinel, quorum, zookeeper, ensemble, postgres\./,
    ],
    [['--runs', '0'], /--runs to be an integer from 1 to 10000, got 0\./],
    [['--runs', 'many'], /got many\./],
    [['lock', 'config'], /one suite or scenario, got lock config\./],
    [['--fast'], /--fast/],
  ])('refuses %j in a sentence', (args, sentence) => {
    expect(() => parseCommandLine(args)).toThrow(CommandLineError)
    expect(() => parseCommandLine(args)).toThrow(sentence)
  })
})
