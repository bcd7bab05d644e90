import { expect, test } from 'vitest'
import { readArguments, usageOf } from './arguments.ts'
import type { Suite } from './suite.ts'

const suite: Suite = {
  name: 'lock',
  measures: ['redis/handoff-16', 'redis/handoff-16-think', 'zookeeper/handoff-16'],
  bounds: {},
  packages: [],
  run: async () => {},
}
const read = (...words: string[]) => readArguments(words, [suite])

test('without --only every measure is run', () => {
  expect(read('lock', '--json')).toMatchObject({ measures: suite.measures, isJson: true, isSmoke: false })
})

test('--only takes a measure, a row of one, or a store', () => {
  expect(read('lock', '--only', 'redis/handoff-16')?.measures).toEqual(['redis/handoff-16'])
  expect(read('lock', '--only', 'redis/handoff-16-think:jain')?.measures).toEqual(['redis/handoff-16-think'])
  expect(read('lock', '--only', 'redis')?.measures).toEqual(['redis/handoff-16', 'redis/handoff-16-think'])
})

test('the only suite need not be named, one of several must', () => {
  expect(read('--smoke')).toMatchObject({ suite, isSmoke: true })
  expect(() => readArguments([], [suite, { ...suite, name: 'config' }])).toThrow(
    'Expected one suite of: lock, config; got none.',
  )
})

test('--help asks for the options and the measures of each suite', () => {
  expect(read('--help')).toBeUndefined()
  expect(read('lock', '-h')).toBeUndefined()
  for (const word of ['--smoke', '--only', '--json', '--save', 'Suite lock', ...suite.measures]) {
    expect(usageOf([suite])).toContain(word)
  }
})

test('what cannot be run is refused in a sentence with what exists', () => {
  expect(() => read('locks')).toThrow('Expected one suite of: lock; got locks.')
  expect(() => read('lock', '--only', 'redis/hand')).toThrow(
    `Expected --only to be one of: ${suite.measures.join(', ')}; got "redis/hand".`,
  )
  expect(() => read('lock', '--loud')).toThrow("Unknown option '--loud'")
  expect(() => read('lock', '--save', '--smoke')).toThrow('Expected --save without --smoke and --only')
})
