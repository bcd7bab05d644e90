import type { ConfigAdminOptions, ConfigOptions } from '@holdfast/config-client'
import { readFileSync } from 'node:fs'
import type { Arguments } from './command-line.ts'
import { CommandError, usageError } from './exit-codes.ts'

type Secrets = Pick<ConfigAdminOptions, 'secretKeys' | 'encryptWith'>

/**
 * The keys in the file that HOLDFAST_SECRET_KEYS names: `{ "id": "<32 bytes in base64>", … }`. All decrypt, the last one encrypts.
 *
 * @throws {CommandError} `usage`; of the file's content nothing is shown
 */
export function secretKeysFrom(file: string | undefined): Secrets {
  if (file === undefined || file === '') return {}
  const entries = Object.entries(keysIn(file))
  const encryptWith = entries.at(-1)?.[0]
  if (encryptWith === undefined) throw usageError(`Expected at least one key in ${file}.`)
  return { secretKeys: Object.fromEntries(entries.map(([id, key]) => [id, Buffer.from(key, 'base64')])), encryptWith }
}

/** The key of `--sign-with` and `--key-id`. */
export function signingKeyFrom(args: Arguments): Pick<ConfigAdminOptions, 'signWith'> {
  const [file, keyId] = [args.text('sign-with'), args.text('key-id')]
  if ((file === undefined) !== (keyId === undefined)) throw usageError('Expected --sign-with and --key-id together.')
  return file === undefined || keyId === undefined ? {} : { signWith: { keyId, privateKey: textOf(file) } }
}

/** The public keys of `--trust ID=FILE`. */
export function trustedKeysFrom(args: Arguments): Pick<ConfigOptions, 'trust'> {
  const keys = args.texts('trust').map(text => {
    const [, id, file] = /^([^=]+)=(.+)$/.exec(text) ?? []
    if (id === undefined || file === undefined) throw usageError('Expected --trust to be like ID=FILE.')
    return [id, textOf(file)] as const
  })
  return keys.length === 0 ? {} : { trust: Object.fromEntries(keys) }
}

function keysIn(file: string): Readonly<Record<string, string>> {
  try {
    const keys: unknown = JSON.parse(textOf(file))
    if (Object.values(Object(keys) as object).every(key => typeof key === 'string'))
      return keys as Record<string, string>
  } catch (error) {
    if (error instanceof CommandError) throw error
  }
  throw usageError(`Expected ${file} to be a JSON object of keys in base64, by id.`)
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new CommandError('usage', `Cannot read ${file}: ${(cause as NodeJS.ErrnoException).code ?? 'unknown'}.`, {
      cause,
    })
  }
}
