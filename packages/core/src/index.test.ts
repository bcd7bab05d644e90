import { runInNewContext } from 'node:vm'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { describe, expect, it } from 'vitest'
import type * as Core from './index.ts'

const NODE_IMPORT =
  /(?:from|import|require)\s*\(?\s*["'](?:node:)?(?:fs|net|crypto|events|os|path|util|stream|module|timers)\b/

async function bundled(entry: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(entry, import.meta.url))],
    bundle: true,
    write: false,
    platform: 'browser',
    format: 'iife',
    globalName: 'holdfast',
    logLevel: 'silent',
  })
  return outputFiles[0]?.text ?? ''
}

/** What a browser has that a bare context does not. */
const BROWSER = { AbortController, AbortSignal, TextEncoder, crypto, performance, setTimeout, clearTimeout }

describe('The root entry of @holdfast/core', () => {
  it('can be bundled for a browser: no module of Node is reached from it', async () => {
    const text = await bundled('./index.ts')
    expect(text).not.toMatch(NODE_IMPORT)
    expect(text).not.toMatch(/__require\("node:/)
  })

  it('works where there is no Node', async () => {
    const context: typeof BROWSER & { holdfast?: typeof Core } = { ...BROWSER }
    const core = runInNewContext(`${await bundled('./index.ts')}; holdfast`, context) as typeof Core
    const live = new core.LiveValue(1)
    const seen: number[] = []
    live.subscribe(() => {
      throw new Error('a listener failed')
    })
    live.subscribe(next => seen.push(next))
    live.set(2)
    expect(seen).toEqual([2])
    expect(core.FencingToken.parse('7').toString()).toBe('00000000000000000007')
    expect(core.systemClock.monotonicMs()).toBeGreaterThan(0)
    expect(new core.RequestIds().next()).toMatch(/^[0-9a-f]{40}-/)
    expect(JSON.parse(core.encodeMeta(undefined))).toEqual({ host: 'unknown', pid: '0' })
    expect(core.eventPoint('lease.event').isHeard).toBe(false)
  })

  it('would not be bundled if it reached a module of Node, as the testing entry does', async () => {
    await expect(bundled('./testing/index.ts')).rejects.toThrow('node:')
  })
})
