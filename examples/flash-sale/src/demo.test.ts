import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { test } from 'vitest'

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url))
const SMALL = ['--stock', '40', '--workers', '4']

interface Run {
  readonly code: number
  readonly output: string
  readonly complaints: string
}

/** Runs the demo as it was built, so that its exit code is the real one. */
function demo(...args: readonly string[]): Promise<Run> {
  return new Promise(resolve => {
    const child = execFile(process.execPath, [MAIN, ...args], { timeout: 60_000 }, (_error, output, complaints) => {
      resolve({ code: child.exitCode ?? -1, output, complaints })
    })
  })
}

function valueOf(measure: string, output: string): string | undefined {
  return new RegExp(`^ ${measure} +(.*)$`, 'm').exec(output)?.[1]
}

// Most of their time the runs wait for leases to end, so they wait together.
test.concurrent.for(['memory', 'redis', 'zookeeper'])(
  'on %s the stock is right at the end, and a stale write was refused',
  async (backend, { expect }) => {
    const { code, output, complaints } = await demo('--backend', backend, ...SMALL)
    expect(complaints).toBe('')
    expect(output).toContain('The stock is right: 40 sold, 0 left, nothing sold twice.')
    expect(valueOf('sold', output)).toBe('40')
    expect(valueOf('oversold', output)).toBe('0')
    expect(valueOf('stale writes refused', output)).toBe('1')
    expect(valueOf('guarantee of the leases', output)).toBe('fenced')
    expect(valueOf('hand-off p50 / p99', output)).toMatch(/^\d+\.\d ms \/ \d+(\.\d)? ms$/)
    expect(valueOf('last token', output)).toContain('(strictly increasing)')
    expect(code).toBe(0)
  },
)

test.concurrent.for(['memory', 'redis', 'zookeeper'])(
  'on %s without fencing the stale write is accepted and the stock is oversold',
  async (backend, { expect }) => {
    const { code, output, complaints } = await demo('--backend', backend, '--unsafe', ...SMALL)
    expect(complaints).toBe('')
    expect(output).toContain('The stock is WRONG.')
    expect(Number(valueOf('oversold', output))).toBeGreaterThan(0)
    expect(valueOf('stale writes refused', output)).toBe('0')
    expect(valueOf('stale writes accepted', output)).toBe('1')
    expect(valueOf('last token', output)).toContain('(strictly increasing)')
    expect(code).toBe(1)
  },
)

test('a bad option is one sentence and code 2', async ({ expect }) => {
  expect(await demo('--stock', 'many')).toEqual({
    code: 2,
    output: '',
    complaints: 'Expected --stock to be an integer from 40 to 500, got "many".\n',
  })
})
