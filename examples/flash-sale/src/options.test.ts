import { expect, test } from 'vitest'
import { DEMO_DEFAULTS, parseOptions } from './options.ts'

test('without options the sale is fenced and in memory', () => {
  expect(parseOptions([])).toEqual(DEMO_DEFAULTS)
})

test('options are taken with a space or an equals sign', () => {
  const wanted = { backend: 'redis', isFenced: false, stock: 50, workers: 3 }
  expect(parseOptions(['--backend', 'redis', '--unsafe', '--stock', '50', '--workers', '3'])).toEqual(wanted)
  expect(parseOptions(['--backend=redis', '--unsafe', '--stock=50', '--workers=3'])).toEqual(wanted)
})

test('help is all there is once it is asked for', () => {
  expect(parseOptions(['--stock', '50', '--help'])).toBeUndefined()
})

test.each([
  [['--backend', 'etcd'], 'Expected --backend to be memory, redis, zookeeper, got "etcd".'],
  [['--backend'], 'Expected --backend to be memory, redis, zookeeper, got nothing.'],
  [['--stock', '39'], 'Expected --stock to be an integer from 40 to 500, got "39".'],
  [['--stock', '1e2'], 'Expected --stock to be an integer from 40 to 500, got "1e2".'],
  [['--workers', '9'], 'Expected --workers to be an integer from 3 to 8, got "9".'],
  [['--workers='], 'Expected --workers to be an integer from 3 to 8, got "".'],
  [['--unsafe=no'], 'Expected --unsafe to have no value, got "no".'],
  [['--fast'], 'Unknown option "--fast"; there are --backend, --unsafe, --stock, --workers, --help.'],
  [['redis'], 'Expected only options, got "redis"; --help lists them.'],
])('%j is refused in one sentence', (args, message) => {
  expect(() => parseOptions(args)).toThrow(message)
})
