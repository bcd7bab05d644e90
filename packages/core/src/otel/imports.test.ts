import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { expect, it } from 'vitest'

async function importsOf(entry: string): Promise<readonly string[]> {
  const { metafile } = await build({
    entryPoints: [fileURLToPath(new URL(entry, import.meta.url))],
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'silent',
  })
  return Object.values(metafile.inputs).flatMap(({ imports }) => imports.map(({ path }) => path))
}

it.each(['../index.ts', '../memory/index.ts', '../redis/index.ts', '../zookeeper/index.ts', '../postgres/index.ts'])(
  '%s needs nothing of OpenTelemetry',
  async entry => {
    expect((await importsOf(entry)).filter(path => path.startsWith('@opentelemetry/'))).toEqual([])
  },
)

it('only this subpath does, and it needs no driver', async () => {
  const paths = await importsOf('./index.ts')
  const packages = new Set(paths.filter(path => /^[@\w]/.test(path) && !path.startsWith('packages/')))
  expect(packages).toEqual(new Set(['@opentelemetry/api']))
})
