import { defineScript } from './script.ts'
import type { Script } from './script.ts'

/*
 * Steps of ephemeral records. Each has
 *
 * KEYS[1]  the ephemeral records, a hash: `m` = "history history 0 µs", the revision of a directory without commits; `n` =
 *          "µs owner", the last change of them, which is another one each time; `r:<id>` = the owner (22 bytes), the value.
 * KEYS[2]  their deadlines, a sorted set: their ids by when they end, in ms of server time.
 * ARGV[1]  the id.
 * ARGV[2]  the owner.
 *
 * and first ends some of those whose time is over. A change of what a reader can see is published on the channel of the directory:
 * the TTL of one that is new, so that who listens knows when to look whether it has ended, else an empty text. The keys of records stay untouched, so that who keeps an ephemeral record needs no right to them.
 */

const PRELUDE = `
local ENDED_AT_ONCE_MAX = 64
local call = redis.call
local records, deadlines, id, owner = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
local time = call('TIME')
local us = string.format('%.0f', time[1] * 1000000 + time[2])
local now = math.floor(us / 1000)

local ended = call('ZRANGEBYSCORE', deadlines, '-inf', now, 'LIMIT', 0, ENDED_AT_ONCE_MAX)
for _, other in ipairs(ended) do
  call('HDEL', records, 'r:' .. other)
  call('ZREM', deadlines, other)
end
local isChanged = #ended > 0

local stored = call('HGET', records, 'r:' .. id)
local isThere = stored and tonumber(call('ZSCORE', deadlines, id) or 0) > now
local isOurs = isThere and string.sub(stored, 1, 22) == owner

local function finish(answer, text)
  if isChanged then
    call('HSET', records, 'n', us .. ' ' .. owner)
    call('PUBLISH', string.sub(records, 1, -3) .. ':ch', text or '')
  end
  return answer
end
`

/**
 * Makes the record the owner's.
 *
 * ARGV[3]  its time to live, in ms.
 * ARGV[4]  the value.
 * ARGV[5]  the history of a directory that is made by it.
 *
 * Returns 1.
 */
export const joinEphemeral: Script = defineScript(`${PRELUDE}
if call('EXISTS', records) == 0 then call('HSET', records, 'm', ARGV[5] .. ' ' .. ARGV[5] .. ' 0 ' .. us) end
-- In this order: a deadline without a record is swept away by and by, a record without one would stay.
call('ZADD', deadlines, now + ARGV[3], id)
if not isThere or stored ~= owner .. ARGV[4] then
  call('HSET', records, 'r:' .. id, owner .. ARGV[4])
  isChanged = true
end
return finish(1, ARGV[3])
`)

/**
 * Keeps it, if it is the owner's.
 *
 * ARGV[3]  its time to live, in ms.
 * ARGV[4]  \`1\` with a new value.
 * ARGV[5]  that value.
 *
 * Returns 1 kept · 0 it is not there · 2 it is another's.
 */
export const beatEphemeral: Script = defineScript(`${PRELUDE}
if not isThere then return finish(0) end
if not isOurs then return finish(2) end
-- A server that is out of memory refuses ZADD as the first write of a script: who lives must be able to stay.
call('ZREM', deadlines, id)
call('ZADD', deadlines, now + ARGV[3], id)
if ARGV[4] == '1' and stored ~= owner .. ARGV[5] then
  call('HSET', records, 'r:' .. id, owner .. ARGV[5])
  isChanged = true
end
return finish(1)
`)

/**
 * Ends it, if it is the owner's.
 *
 * Returns 1 it was · 0 it was not.
 */
export const leaveEphemeral: Script = defineScript(`${PRELUDE}
if not isOurs then return finish(0) end
call('HDEL', records, 'r:' .. id)
call('ZREM', deadlines, id)
isChanged = true
return finish(1)
`)
