import { compileFunction } from 'node:vm'
import { transform } from 'esbuild'
import * as decorators from './resilient.ts'
import { currentContext } from './context-storage.ts'

/**
 * Runs TypeScript as `experimentalDecorators` compiles it: one file of tests cannot have decorators of both kinds.
 *
 * @returns what the source gives to `exports`.
 */
export async function runLegacy(
  source: string,
  given: Readonly<Record<string, unknown>>,
): Promise<Record<string, unknown>> {
  const { code } = await transform(source, {
    loader: 'ts',
    format: 'cjs',
    tsconfigRaw: { compilerOptions: { experimentalDecorators: true, useDefineForClassFields: false } },
  })
  const exports: Record<string, unknown> = {}
  const all = { exports, ...decorators, currentContext, ...given }
  const run = compileFunction(code, Object.keys(all)) as (...values: unknown[]) => void
  run(...Object.values(all))
  return exports
}
