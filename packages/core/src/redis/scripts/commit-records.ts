import { RECORD_LIMITS } from '../../ports/records.ts'
import { COMMITS_REMEMBERED } from '../../records/revision.ts'
import { defineScript } from './script.ts'
import type { Script } from './script.ts'

/** How many ids of older commits are known as such, though their answers are forgotten. */
const COMMITS_KNOWN = 1_000
/** Those beyond that many are forgotten so many at a time. */
const COMMITS_AT_ONCE = 32

/**
 * A commit of records, as a whole or not at all.
 *
 * KEYS[1]  the records, a hash: `m` = "history commit number µs", the revision and the server's time of it; `r:<id>` = the id of
 *          the commit that wrote it (22 bytes), the value.
 * KEYS[2]  the commits, a sorted set: their ids by that time, which is another one for each.
 * KEYS[3]  the ephemeral records: their `m` has the history, where there was no commit yet.
 * ARGV[1]  the id of the commit.
 * ARGV[2]  the history of a directory that is made by it.
 * Then for each change three:
 *          `p`ut, `d`elete or `c`heck, with nothing, `a` (expects absence) or `v<version>`; the id; the value.
 *
 * Returns  { 'committed', history, number, µs }; the same again for a commit that is remembered.
 *          { 'conflict', … }: for each the index of the change, from 0, and what there is (`a` or `v<version>`).
 *          { 'forgotten' }: it happened, and is not remembered any more.
 *          { 'full', how many records there would be }.
 *
 * Publishes the id of the commit on `<KEYS[1]>:ch`.
 *
 * All that could be refused half-way is asked about before the first write: the rights of the user, and memory, which a server
 * that has none left (`noeviction`) refuses to the first write only.
 */
export const commitRecords: Script = defineScript(`
local call, sub, format = redis.call, string.sub, string.format
local records, commits, ephemerals = KEYS[1], KEYS[2], KEYS[3]
local channel, id = records .. ':ch', ARGV[1]

-- What is read, what is written and what goes; a field that a change expects something of is read at the place noted.
local reads, expecting = { 'm' }, {}
local puts, deletes = { 'm', '' }, {}
for at = 3, #ARGV, 3 do
  local word, field = ARGV[at], 'r:' .. ARGV[at + 1]
  local kind = sub(word, 1, 1)
  if kind == 'p' then
    puts[#puts + 1] = field
    puts[#puts + 1] = id .. ARGV[at + 2]
  elseif kind == 'd' then
    deletes[#deletes + 1] = field
  end
  if #word > 1 then
    reads[#reads + 1] = field
    expecting[#reads] = at
  end
end

local stored = call('HMGET', records, unpack(reads))
local meta = stored[1]
local history, number, last = string.match(meta or '', '^(%S+) %S+ (%d+) (%d+)$')
if meta and not history then return redis.error_reply('ERR the directory has no revision that can be read') end
if history then
  local rank = call('ZREVRANK', commits, id)
  if rank and rank >= ${COMMITS_REMEMBERED} then return { 'forgotten' } end
  if rank then return { 'committed', history, format('%.0f', number - rank), call('ZSCORE', commits, id) } end
else
  history = string.match(call('HGET', ephemerals, 'm') or ARGV[2], '^%S+')
  number, last = 0, 0
end

local conflicts = { 'conflict' }
for index = 2, #reads do
  local at = expecting[index]
  local actual = stored[index] and 'v' .. sub(stored[index], 1, 22) or 'a'
  if actual ~= sub(ARGV[at], 2) then
    conflicts[#conflicts + 1] = format('%.0f', (at - 3) / 3)
    conflicts[#conflicts + 1] = actual
  end
end
if #conflicts > 1 then return conflicts end

local time = call('TIME')
local us = format('%.0f', math.max(time[1] * 1000000 + time[2], last + 1))
number = format('%.0f', number + 1)
puts[2] = history .. ' ' .. id .. ' ' .. number .. ' ' .. us

local size = call('HLEN', records) - (meta and 1 or 0)
if size + #puts / 2 - 1 > ${RECORD_LIMITS.directoryRecordsMax} then
  for at = 3, #puts, 2 do size = size + 1 - call('HEXISTS', records, puts[at]) end
  for _, field in ipairs(deletes) do size = size - call('HEXISTS', records, field) end
  if size > ${RECORD_LIMITS.directoryRecordsMax} then return { 'full', format('%.0f', size) } end
end

-- HSET comes first, and is refused by itself. What is needed now and then is asked about with the first commit as well: who lacks it
-- is told then.
local may, isTrimming = redis.acl_check_cmd, number % ${COMMITS_AT_ONCE} == 0
local refused = not may('ZADD', commits, us, id) and 'ZADD'
  or not may('PUBLISH', channel, id) and 'PUBLISH'
  or (not meta or #deletes > 0) and not may('HDEL', records, 'm') and 'HDEL'
  or (not meta or isTrimming) and not may('ZREMRANGEBYRANK', commits, '0', '0') and 'ZREMRANGEBYRANK'
  or not meta and not may('DEL', commits) and 'DEL'
if refused then
  return redis.error_reply('NOPERM this user has no permissions to run ' .. refused .. ' for commits')
end
call('HSET', records, unpack(puts))
if #deletes > 0 then call('HDEL', records, unpack(deletes)) end
-- What was remembered of a directory that is gone would be taken for commits of this one.
if not meta then call('DEL', commits) end
call('ZADD', commits, us, id)
if isTrimming then call('ZREMRANGEBYRANK', commits, 0, -${COMMITS_KNOWN + 1}) end
call('PUBLISH', channel, id)
return { 'committed', history, number, us }
`)
