import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const tsc = fileURLToPath(new URL('../../../../node_modules/typescript/bin/tsc', import.meta.url))
const fixture = fileURLToPath(new URL('./both-modes.fixture.ts', import.meta.url))
const flags =
  '--noEmit --ignoreConfig --strict --exactOptionalPropertyTypes --skipLibCheck --target es2022 --lib es2023,esnext.disposable --types node --module nodenext --allowImportingTsExtensions'

// It fails on an error of types, and where an expected one is missing.
it.each([
  ['the standard', []],
  ['experimentalDecorators', ['--experimentalDecorators']],
])('the types of the decorator fit methods and classes in the mode of %s', async (_mode, more) => {
  const { stdout } = await promisify(execFile)(process.execPath, [tsc, ...flags.split(' '), ...more, fixture])
  expect(stdout).toBe('')
})
