import { defineScript } from './script.ts'
import type { Script } from './script.ts'

/*
 * Steps of idempotency keys. Each has
 *
 * KEYS[1]  the run of a key, a hash: `s` its state (`r` running, `d` done, `x` done and failed, `l` released), `p` the fingerprint, `o` the
 *          owner, `f` the fence, `u` the µs of server time at which its lease ends, `k` how many ms it is remembered beyond that, `b` the
 *          result, `t` the ms at which it was done.
 * ARGV[1]  the owner.
 *
 * A run that is over takes the hash away with it, by its time to live.
 *
 * Fences are max(the last one + 1, the server's time in µs): they grow while the hash lives, and also when it is gone or lost.
 *
 * A server that is out of memory (`noeviction`) refuses the first write of a script if that could need more, and none after one that
 * cannot: what was begun must be able to end, so `PEXPIRE` opens the way.
 */

const PRELUDE = `
local call, key, owner = redis.call, KEYS[1], ARGV[1]
local function nowUs()
  local time = call('TIME')
  return time[1] * 1000000 + time[2]
end
`

/**
 * Begins a run.
 *
 * ARGV[2]  the fingerprint.
 * ARGV[3]  the lease, in ms.
 * ARGV[4]  `1` to run again what was lost.
 * ARGV[5]  for how long to remember it, in ms.
 *
 * Returns { 'run', fence } · { 'in-flight', ms left of its lease } · { 'done', 1 when it failed, ms when it was, result } · { 'conflict' } ·
 * { 'lost' }.
 */
export const beginRun: Script = defineScript(`${PRELUDE}
local now, leaseMs, keepMs = nowUs(), tonumber(ARGV[3]), tonumber(ARGV[5])
local run = call('HMGET', key, 's', 'p', 'o', 'f', 'u', 't')
local state, fence = run[1], run[4]
if state == 'l' and run[3] == owner then return { 'run', fence } end
if state and state ~= 'l' then
  if run[2] ~= ARGV[2] then return { 'conflict' } end
  if state ~= 'r' then return { 'done', state == 'x' and 1 or 0, run[6], call('HGET', key, 'b') } end
  local leftUs = tonumber(run[5]) - now
  if run[3] ~= owner then
    if leftUs > 0 then return { 'in-flight', math.ceil(leftUs / 1000) } end
    if ARGV[4] ~= '1' then return { 'lost' } end
    state = nil
  end
else
  state = nil
end
if not state then fence = string.format('%.0f', math.max(now, (tonumber(fence) or 0) + 1)) end
local ends = string.format('%.0f', now + leaseMs * 1000)
call('HSET', key, 's', 'r', 'p', ARGV[2], 'o', owner, 'f', fence, 'u', ends, 'k', ARGV[5])
call('PEXPIRE', key, leaseMs + keepMs)
return { 'run', fence }
`)

const OWN = `
local run = call('HMGET', key, 's', 'o', 'f', 'k')
local state = run[2] == owner and run[3] == ARGV[2] and run[1]
`

/**
 * Moves the lease of a run.
 *
 * ARGV[2]  the fence.
 * ARGV[3]  the lease, in ms.
 *
 * Returns 1 kept · 0 stale.
 */
export const renewRun: Script = defineScript(`${PRELUDE}${OWN}
if state ~= 'r' then return 0 end
call('PEXPIRE', key, ARGV[3] + run[4])
call('HSET', key, 'u', string.format('%.0f', nowUs() + ARGV[3] * 1000))
return 1
`)

/**
 * Ends a run with a result.
 *
 * ARGV[2]  the fence.
 * ARGV[3]  `x` when it failed, else `d`.
 * ARGV[4]  for how long to keep it, in ms.
 * ARGV[5]  the result.
 *
 * Returns 1 kept · 0 stale.
 */
export const completeRun: Script = defineScript(`${PRELUDE}${OWN}
if state == 'd' or state == 'x' then return 1 end
if state ~= 'r' then return 0 end
call('PEXPIRE', key, ARGV[4])
call('HSET', key, 's', ARGV[3], 'b', ARGV[5], 't', string.format('%.0f', math.floor(nowUs() / 1000)))
call('HDEL', key, 'u', 'k')
return 1
`)

/**
 * Gives the key back. The fence stays for as long as the run was to be remembered, and with it the owner: a repeated begin of his, come
 * late, starts nothing.
 *
 * ARGV[2]  the fence.
 *
 * Returns 1 released · 0 stale.
 */
export const releaseRun: Script = defineScript(`${PRELUDE}${OWN}
if state == 'l' then return 1 end
if state ~= 'r' then return 0 end
call('PEXPIRE', key, run[4])
call('HSET', key, 's', 'l')
call('HDEL', key, 'p', 'u', 'k')
return 1
`)
