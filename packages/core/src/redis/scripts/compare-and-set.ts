import { defineScript } from './script.ts'
import type { Script } from './script.ts'

/**
 * Sets a key if it has the value that was read; how long it is kept stays as it was.
 *
 * KEYS[1] the key. ARGV[1] `1` when there was a value, ARGV[2] that value, ARGV[3] the new one.
 *
 * Returns 1 when it was set, 0 when the key has another value by now.
 */
export const compareAndSet: Script = defineScript(`
local now = redis.call('GET', KEYS[1])
if ARGV[1] == '1' and now ~= ARGV[2] or ARGV[1] == '0' and now then return 0 end
redis.call('SET', KEYS[1], ARGV[3], 'KEEPTTL')
return 1
`)
