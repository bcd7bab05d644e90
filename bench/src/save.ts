import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { cpus, totalmem } from 'node:os'
import type { Measured } from './row.ts'
import { plotOf } from './plot.ts'
import type { Suite } from './suite.ts'
import { judge } from './verdict.ts'

const RESULTS = new URL('../results/', import.meta.url)

/** Keeps the figures of a whole run, and a plot of them, in `results/`. */
export async function saveResults(suite: Suite, all: readonly Measured[]): Promise<void> {
  const rows = all.map(({ row, ratios, details }) => {
    const bound = suite.bounds[row.name]
    const range =
      ratios.length === 0 ? null : { min: Math.min(...ratios), max: Math.max(...ratios), rounds: ratios.length }
    return { ...row, ratioRange: range, bound: bound ?? null, verdict: judge(row, bound).kind, details }
  })
  const versions: [string, string][] = await Promise.all(
    suite.packages.map(async name => [name, await versionOf(name)]),
  )
  const kept = {
    suite: suite.name,
    machine: machine(),
    versions: { node: process.versions.node, ...Object.fromEntries(versions) } as Record<string, string>,
    rows,
  }
  await mkdir(RESULTS, { recursive: true })
  await writeFile(new URL(`${suite.name}.json`, RESULTS), `${JSON.stringify(kept, undefined, 2)}\n`)
  await writeFile(new URL(`${suite.name}.svg`, RESULTS), plotOf(suite, all, aboutOf(kept.machine, kept.versions)))
}

function aboutOf(machine: string, versions: Readonly<Record<string, string>>): readonly string[] {
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  return [named.join(', '), machine]
}

// General words: figures of another machine of the kind should look alike, and nothing says whose it is.
function machine(): string {
  const gibibytes = Math.round(totalmem() / 2 ** 30)
  return `${cpus().length} cores, ${gibibytes} GiB of memory, ${process.platform} ${process.arch}, servers and clients on the same machine`
}

// Not every package exports its package.json, so it is looked for where the package was found.
async function versionOf(name: string): Promise<string> {
  let folder = new URL('./', `file://${createRequire(import.meta.url).resolve(name)}`)
  while (folder.pathname !== '/') {
    const text = await readFile(new URL('package.json', folder), 'utf8').catch(() => '{}')
    const manifest = JSON.parse(text) as { readonly name?: string; readonly version?: string }
    if (manifest.name === name && manifest.version !== undefined) return manifest.version.replace(/^v/, '')
    folder = new URL('../', folder)
  }
  return 'unknown'
}
