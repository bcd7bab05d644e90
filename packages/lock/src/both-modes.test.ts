import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const tsc = fileURLToPath(new URL('../../../node_modules/typescript/bin/tsc', import.meta.url))
const fixture = fileURLToPath(new URL('./both-modes.fixture.ts', import.meta.url))
const flags =
  '--noEmit --ignoreConfig --strict --exactOptionalPropertyTypes --skipLibCheck --target es2022 --lib es2023,esnext.disposable --types node --module nodenext --allowImportingTsExtensions'

// It fails on an error of types, and where an expected one is missing.
it.each([
  ['the standard', []],
  ['experimentalDecorators', ['--experimentalDecorators']],
])('the types of @locked fit methods in the mode of %s', async (_mode, more) => {
  const run = promisify(execFile)(process.execPath, [tsc, ...flags.split(' '), ...more, fixture])
  // What it found stands on its standard output.
  const output = await run.then(
    ({ stdout }) => stdout,
    (error: unknown) => String((error as { readonly stdout?: unknown }).stdout),
  )
  expect(output).toBe('')
})
