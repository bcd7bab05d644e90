import { defineScript } from './script.ts'
import type { Script } from './script.ts'

/**
 * Compares a fencing token with the newest one seen, records it, and runs the caller's commands, in one step.
 *
 * KEYS[1]  the fence record, a hash: `t` the newest token; for each source that applied under it, `s<source>` its last call and
 *          `v<source>` what that returned. KEYS[2…] the keys of the commands.
 * ARGV[1]  the token as 20 digits, so that text order is number order.
 * ARGV[2]  the source, ARGV[3] the number of its call: they only grow on one connection, so a call that comes again was sent
 *          again by the driver after its reply was lost.
 * ARGV[4…] the commands, each as the count of its words and then the words.
 *
 * Returns { 'ok', reply… }, { 'again', that as JSON } when this call was already applied ('' when its replies are not known: a
 * later call went ahead, or a command failed), { 'stale', newest token }, or { 'refused', which command, what Redis said }: those
 * before it were run.
 */
export const fence: Script = defineScript(`
local newest = redis.call('HGET', KEYS[1], 't')
if newest and newest > ARGV[1] then return { 'stale', newest } end
if newest and newest == ARGV[1] then
  local last = redis.call('HGET', KEYS[1], 's' .. ARGV[2])
  if last and tonumber(last) >= tonumber(ARGV[3]) then
    return { 'again', last == ARGV[3] and redis.call('HGET', KEYS[1], 'v' .. ARGV[2]) or '' }
  end
else
  redis.call('DEL', KEYS[1])
end
local at = 4
local replies = { 'ok' }
redis.call('HSET', KEYS[1], 't', ARGV[1], 's' .. ARGV[2], ARGV[3], 'v' .. ARGV[2], '')
while at <= #ARGV do
  local words = {}
  for word = 1, tonumber(ARGV[at]) do words[word] = ARGV[at + word] end
  at = at + #words + 1
  local reply = redis.pcall(unpack(words))
  if type(reply) == 'table' and reply.err then return { 'refused', #replies - 1, reply.err } end
  replies[#replies + 1] = reply
end

-- cjson alone would cut numbers to 14 digits, and take an empty list for an object.
local function json_of(reply)
  if reply == false then return 'null' end
  if type(reply) == 'number' then return string.format('%.0f', reply) end
  if type(reply) == 'string' then return cjson.encode(reply) end
  if reply.ok then return cjson.encode(reply.ok) end
  local parts = {}
  for index, part in ipairs(reply) do parts[index] = json_of(part) end
  return '[' .. table.concat(parts, ',') .. ']'
end
redis.call('HSET', KEYS[1], 'v' .. ARGV[2], json_of(replies))
return replies
`)
