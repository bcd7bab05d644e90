import { LEASE_GUARD, LEASE_PRELUDE } from './lease-prelude.ts'
import { defineScript } from './script.ts'
import type { Script } from './script.ts'

/*
 * Steps of leases that can be held beside others: readers and writers, or permits. Each stands on four keys of a resource (its state, the
 * ends of its holders, its queue, and the slots of its permits), and is told one order:
 *
 *   `a` record                          acquire: grant, or with claimMs > 0 take a place in the queue. Again with the same id: the same answer.
 *                                       record = mode (`r`, `w` or `p`) ttlMs (8 digits) claimMs (5 digits) limit (7 digits) id ` ` meta.
 *   `r` mode id                         take back: free what the id holds, or leave the queue.
 *   `n` mode ttlMs (8 digits) id        renew.
 *   `d` id ` ` record                   downgrade: what the writer `id` holds becomes the reader's of the record.
 *
 * and answers
 *
 *   a  a token, as text, and of a permit ` ` slot: granted for all of ttlMs · 0 others hold it ·
 *      { nowUs, remainingMs, position, 1 when that is a new place } queued
 *   r  1 it was held until now · 0 it was not
 *   n  1 renewed · 0 it is not held any more
 *   d  the token: held by the reader for all of its ttlMs · 0 the writer does not hold it any more
 *
 * Whoever is first in the queue is granted while it fits: there are fewer holders than its limit (1 of readers and writers), or it is a
 * reader and there is no writer. Nobody overtakes the queue, so writers are not starved.
 *
 * The state is a hash: `t` the last token (20 digits, never goes back while the hash lives), `h<id>` of each holder its token (20
 * digits), the µs of server time when it was granted (20 digits), its slot (7 digits) and its record. The ends are a sorted set: mode and
 * id of each holder, by the µs of server time until which it holds. The slots are one as well: the ids of permits, by slot. The queue, the
 * messages to inboxes, the time that all of it is kept and what happens on a server without memory are as in `lease-steps.ts`; the
 * message that hands over a permit ends with ` ` slot.
 *
 * Who is first and does not fit is told when to ask: when so many holders have ended, should none renew, that it fits, and again when that
 * is sooner than it was. Those who have
 * ended are dropped by whoever looks; a renewal does not look.
 */
const STEP = `
-- One step hands over to so many: readers can be thousands, and it must not keep the server from others.
local HANDED_MAX = 200

local function id_of(record) return string.match(record, '^%S+', 22) end

local kind, record, writer = sub(order, 1, 1), sub(order, 2), nil
if kind == 'd' then writer, record = string.match(order, '^d(%S+) (.*)$') end
local mode = sub(record, 1, 1)
local id = kind == 'r' and sub(record, 2) or kind == 'n' and sub(record, 10) or id_of(record)
local kept = call('HMGET', key, 't', 'h' .. id)
local last, ours = kept[1], kept[2]
local ending = tonumber(call('ZSCORE', ends, mode .. id) or 0)

local function keep(spanMs)
  for _, kept_key in ipairs(mode == 'p' and { ends, slots } or { ends }) do
    if call('PTTL', kept_key) < spanMs + RETENTION_MS then call('PEXPIRE', kept_key, spanMs + RETENTION_MS) end
  end
end

local function answer_of(held) return sub(held, 1, 20) .. (mode == 'p' and format(' %.0f', tonumber(sub(held, 41, 47))) or '') end

local renewed
if ours and ending > now and kind ~= 'r' then
  local ttlMs = tonumber(sub(record, 2, 9))
  -- An old question that comes late: what was made longer since stays so.
  if kind ~= 'n' and ending >= now + ttlMs * 1000 then return answer_of(ours) end
  call('PEXPIRE', key, math.max(call('PTTL', key), ttlMs + RETENTION_MS))
  call('ZADD', ends, now + ttlMs * 1000, mode .. id)
  keep(ttlMs)
  renewed = kind == 'n' and 1 or answer_of(ours)
  -- Whoever is first may have been told to wait for longer than that.
  if now + ttlMs * 1000 >= ending then return renewed end
end
if kind == 'n' and not renewed then return 0 end

local count, isWritten

local function drop(member)
  call('ZREM', ends, member)
  call('HDEL', key, 'h' .. sub(member, 2))
  if mode == 'p' then call('ZREM', slots, sub(member, 2)) end
end

local function count_holders()
  count = call('ZCARD', ends)
  -- A writer is alone.
  isWritten = count == 1 and sub(call('ZRANGE', ends, 0, 0)[1], 1, 1) == 'w'
end

local function look()
  for _, member in ipairs(call('ZRANGE', ends, '-inf', stamp, 'BYSCORE')) do drop(member) end
  count_holders()
end

local function fits(wish)
  return count < tonumber(sub(wish, 15, 21)) or sub(wish, 1, 1) == 'r' and not isWritten
end

-- A reader has the token of the last writer. The others: the server's time, unless the last one is ahead of it.
local function next_token(wish)
  if sub(wish, 1, 1) == 'r' then return last or stamp end
  if not last or tonumber(last) < now then return stamp end
  return format('%020.0f', tonumber(last) + 1)
end

-- The lowest that is free: all below low are taken, and one up to high is not.
local function next_slot()
  local low, high = 0, mode == 'p' and count or 0
  while low < high do
    local middle = math.floor((low + high) / 2)
    if call('ZCOUNT', slots, 0, middle) > middle then low = middle + 1 else high = middle end
  end
  return low
end

local function hold(wish, spanMs, token, slot)
  local who = id_of(wish)
  local held = token .. stamp .. format('%07.0f', slot) .. wish
  call('HSET', key, 't', token, 'h' .. who, held)
  -- Of those whose ends the server has dropped to win memory.
  if count == 0 and call('HLEN', key) > 2 then
    call('DEL', key, slots)
    call('HSET', key, 't', token, 'h' .. who, held)
  end
  call('ZADD', ends, now + spanMs * 1000, sub(wish, 1, 1) .. who)
  if mode == 'p' then call('ZADD', slots, slot, who) end
  if call('PTTL', key) < spanMs + RETENTION_MS then call('PEXPIRE', key, spanMs + RETENTION_MS) end
  keep(spanMs)
  last, count, isWritten = token, count + 1, sub(wish, 1, 1) == 'w'
  return answer_of(held)
end

local inbox = string.match(key, '^[^{]*') .. 'inbox:'

local function publish(to, message) return call('PUBLISH', inbox .. string.match(to, '^[^.]*') .. at, message) end

-- When one who does not fit could, at the soonest: so many have ended by then.
local function opening(wish)
  if fits(wish) then return now end
  local rank = count - tonumber(sub(wish, 15, 21))
  return tonumber(call('ZRANGE', ends, rank, rank, 'WITHSCORES')[2])
end

local function tell(wish, untilUs)
  publish(id_of(wish), format('%s %.0f', id_of(wish), math.max(0, math.ceil((untilUs - now) / 1000))))
end

if renewed then
  local first = call('HGET', queue, 'w' .. (call('HGET', queue, 'a') or ''))
  if first then
    count_holders()
    local untilUs = opening(first)
    if ending > untilUs then tell(first, untilUs) end
  end
  return renewed
end

-- Hands it to one who waits, for claimMs at most. Nobody listening means a closed inbox: then it is not held.
local function hand_to(wish)
  local who, token, slot = id_of(wish), next_token(wish), next_slot()
  local spanMs = math.min(tonumber(sub(wish, 2, 9)), tonumber(sub(wish, 10, 14)))
  local message = format('%s %s %s %.0f', who, token, stamp, spanMs) .. (mode == 'p' and format(' %.0f', slot) or '')
  if publish(who, message) > 0 then return hold(wish, spanMs, token, slot) end
  if at ~= '' then call('PUBLISH', inbox .. string.match(who, '^[^.]*'), who .. ' 0') end
end

-- Grants to the first in the queue while it fits, and tells who is first then, if that is news or may wait for one who was to end at
-- goneUs. The one who asks gets all of its time, by the answer. Returns that, and who is first. Tickets of those who left are gaps.
local function serve(goneUs)
  local bounds = call('HMGET', queue, 'a', 'z')
  if not bounds[1] then return nil, nil end
  local ticket, final, handed, answer = tonumber(bounds[1]), tonumber(bounds[2]), 0, nil
  local first = call('HGET', queue, 'w' .. bounds[1])
  while ticket <= final and not (first and (handed == HANDED_MAX or not fits(first))) do
    if first then
      local who = id_of(first)
      call('HDEL', queue, format('w%.0f', ticket), 'r' .. who)
      if kind == 'a' and who == id then
        answer = hold(record, tonumber(sub(record, 2, 9)), next_token(record), next_slot())
      else
        hand_to(first)
      end
      handed = handed + 1
    end
    ticket = ticket + 1
    first = ticket <= final and call('HGET', queue, format('w%.0f', ticket))
  end
  if not first then
    call('DEL', queue)
    return answer, nil
  end
  local isNews = format('%.0f', ticket) ~= bounds[1]
  if isNews then call('HSET', queue, 'a', format('%.0f', ticket)) end
  local untilUs = opening(first)
  if (isNews or goneUs > untilUs) and not (kind == 'a' and id_of(first) == id) then tell(first, untilUs) end
  return answer, first
end

if kind == 'r' then
  local ticket = call('HGET', queue, 'r' .. id)
  if ticket then call('HDEL', queue, 'w' .. ticket, 'r' .. id) end
  if ending > 0 then drop(mode .. id) end
  if ending > 0 or ticket and ticket == call('HGET', queue, 'a') then
    look()
    serve(ending)
  end
  return ending > now and 1 or 0
end

if kind == 'd' then
  ending = tonumber(call('ZSCORE', ends, 'w' .. writer) or 0)
  local held = call('HGET', key, 'h' .. writer)
  if not held or ending <= now then return 0 end
  drop('w' .. writer)
  look()
  local answer = hold(record, tonumber(sub(record, 2, 9)), sub(held, 1, 20), 0)
  serve(ending)
  return answer
end

look()
local answer, first = serve(0)
if answer then return answer end
if not first and fits(record) then return hold(record, tonumber(sub(record, 2, 9)), next_token(record), next_slot()) end
if sub(record, 10, 14) == '00000' then return 0 end

local ticket = call('HGET', queue, 'r' .. id)
local isNew = not ticket
if isNew then
  ticket = format('%.0f', (tonumber(call('HGET', queue, 'z')) or 0) + 1)
  call('HSETNX', queue, 'a', ticket)
  call('HSET', queue, 'z', ticket, 'w' .. ticket, record, 'r' .. id, ticket)
end
-- Never behind more than there are: tickets of those who left are gaps.
local position = math.min(tonumber(ticket) - tonumber(call('HGET', queue, 'a')), call('HLEN', queue) / 2 - 2)
local remainingMs = math.max(0, math.ceil((opening(first or record) - now) / 1000))
-- Somebody who waits asks again before this is over.
local keepMs = remainingMs + RETENTION_MS
if call('PTTL', queue) < keepMs then call('PEXPIRE', queue, keepMs) end
return { now, remainingMs, position, isNew and 1 or 0, sub(at, 2) }
`

/** One step. KEYS its state, ends, queue and slots, ARGV[1] its order. Returns its answer. */
export const sharedStep: Script = defineScript(`${LEASE_PRELUDE}
local key, ends, queue, slots, order = KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[1]
${STEP}`)

/**
 * One step in a Cluster. KEYS its state, ends, queue and slots, ARGV[1] its order, ARGV[2] the nodes that may carry it out. Returns its
 * answer, or `@` and the node that was asked, which did nothing, when that is another one.
 */
export const sharedStepInCluster: Script = defineScript(`${LEASE_PRELUDE}
local key, ends, queue, slots, order = KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[1]
${LEASE_GUARD}
${STEP}`)

/**
 * Many steps. KEYS[4i-3] to KEYS[4i] the state, ends, queue and slots, and ARGV[i] the order of step i. Returns an answer for each; a
 * step that fails answers with an error and touches no other.
 */
export const sharedSteps: Script = defineScript(`${LEASE_PRELUDE}
local function step(key, ends, queue, slots, order)
${STEP}
end

local answers = {}
for i = 1, #ARGV do
  local isFine, answer = pcall(step, KEYS[i * 4 - 3], KEYS[i * 4 - 2], KEYS[i * 4 - 1], KEYS[i * 4], ARGV[i])
  answers[i] = isFine and answer or redis.error_reply(type(answer) == 'table' and answer.err or tostring(answer))
end
return answers
`)
