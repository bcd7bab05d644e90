import type { Redis } from 'ioredis'
import { isUnknownScript } from './errors.ts'
import type { Script } from './scripts/script.ts'

/** Runs a script on a client: by its name, or whole when the server does not know it. */
export function evaluate(
  client: Redis,
  script: Script,
  keys: readonly string[],
  args: readonly string[],
): Promise<unknown> {
  return client.evalsha(script.sha, keys.length, ...keys, ...args).catch((error: unknown) => {
    if (!isUnknownScript(error)) throw error
    return client.eval(script.lua, keys.length, ...keys, ...args)
  })
}
