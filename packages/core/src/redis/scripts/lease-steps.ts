import { LEASE_GUARD, LEASE_PRELUDE } from './lease-prelude.ts'
import { defineScript } from './script.ts'
import type { Script } from './script.ts'

/*
 * Steps of leases. Each stands on two keys of a resource, its state and its queue, and is told one order:
 *
 *   `a` record              acquire: grant, or with claimMs > 0 take a place in the queue. Again with the same id: the same answer.
 *                           record = ttlMs (8 digits) claimMs (5 digits) id ` ` meta.
 *   `r` id                  take back: free what the id holds, or leave the queue.
 *   `n` ttlMs (8 digits) id renew.
 *
 * and answers
 *
 *   a  a token, as text: granted for all of ttlMs · 0 held by another · { nowUs, remainingMs, position, 1 when that is a new place } queued
 *   r  1 it was held until now · 0 it was not
 *   n  1 renewed · 0 it is another's, or nobody's
 *
 * The state is one text: the last token (20 digits, never goes back while the text lives), the µs of server time from when the
 * lease counts (20 digits, zeros when nobody holds it), `1` when somebody is queued, and while it is held the owner's record, with
 * the ttlMs that count now. The queue is a hash: `a` first and `z` last ticket, `w<ticket>` = record, `r<id>` = ticket.
 *
 * A release hands the lease straight to the first waiter, for claimMs at most: it publishes `id token nowUs spanMs` to that
 * waiter's inbox (the prefix of the keys, `inbox:`, the id up to its dot). Nobody listening means a closed inbox, and the next one
 * is tried. The new first waiter is told `id remainingMs`, so that it wakes when the new holder dies, and so is the first one when the
 * holder renews for a shorter time than it had.
 *
 * In a Cluster whatever is published reaches all nodes, and `PUBLISH` counts those who listen to this one. So each inbox has a channel
 * for each node as well (the inbox, `:`, the first 16 digits of the node's replication id), and one that is counted as closed is told
 * `id 0` on the channel of all nodes: it may listen to another, and is to ask again.
 *
 * The state outlives the holder by RETENTION_MS: the last token then guards against a server clock that is set back; after that,
 * or when the data is lost, the server's time alone keeps tokens growing.
 *
 * What is held must be renewed and freed also on a server that is out of memory (`noeviction`): it refuses the first write of a
 * script if that could need more, and none after one that cannot, so `PEXPIRE` opens the way where `SET` was refused.
 *
 * Times stay text for as long as they can (formatting a number costs as much as a command), and what only a queue needs stands
 * behind the quick ways out (making those functions costs more than a step on a free resource).
 */
const PRELUDE = `${LEASE_PRELUDE}
local FREE = '000000000000000000000'
`

const STEP = `
local kind, state = sub(order, 1, 1), call('GET', key)
local last = state and sub(state, 1, 20) or '0'

-- The next token: the server's time, unless the last one is ahead of it. (As numbers: comparing text asks the locale.)
local token = tonumber(last) < now and stamp or format('%020.0f', tonumber(last) + 1)

if kind == 'a' then
  local isFree
  if state then isFree = sub(state, 21, 41) == FREE else isFree = call('EXISTS', queue) == 0 end
  if isFree then
    call('SET', key, token .. stamp .. '0' .. sub(order, 2), 'PX', tonumber(sub(order, 2, 9)) + RETENTION_MS)
    return token
  end
end

local id = kind == 'r' and sub(order, 2) or kind == 'n' and sub(order, 10) or string.match(order, '^%S+', 15)
local isOurs = state and sub(state, 55, 55 + #id) == id .. ' '
local isQueued = not state or sub(state, 41, 41) == '1'
local ending = 0
if state and #state > 41 then ending = tonumber(sub(state, 21, 40)) + tonumber(sub(state, 42, 49)) * 1000 end

if isOurs and kind == 'r' and not isQueued then
  if redis.pcall('SET', key, last .. FREE, 'KEEPTTL').err then
    call('PEXPIRE', key, RETENTION_MS)
    call('SET', key, last .. FREE, 'KEEPTTL')
  end
  return ending > now and 1 or 0
end
if isOurs and ending > now and kind ~= 'r' then
  local ttl = sub(order, 2, 9)
  -- An old question that comes late: what was made longer since stays so.
  if kind == 'a' and ending >= now + tonumber(ttl) * 1000 then return last end
  local renewed, keepMs = last .. stamp .. sub(state, 41, 41) .. ttl .. sub(state, 50), tonumber(ttl) + RETENTION_MS
  if redis.pcall('SET', key, renewed, 'PX', keepMs).err then
    call('PEXPIRE', key, keepMs)
    call('SET', key, renewed, 'PX', keepMs)
  end
  -- Whoever is first was to wait for longer than that.
  if isQueued and now + tonumber(ttl) * 1000 < ending then
    local first = call('HGET', queue, 'w' .. (call('HGET', queue, 'a') or ''))
    if first then
      local who = string.match(first, '^%S+', 14)
      local inbox = string.match(key, '^[^{]*') .. 'inbox:' .. string.match(who, '^[^.]*') .. at
      call('PUBLISH', inbox, who .. ' ' .. tonumber(ttl))
    end
  end
  return kind == 'n' and 1 or last
end
if kind == 'n' or kind == 'r' and not isQueued then return 0 end
if kind == 'a' and ending > now and sub(order, 10, 14) == '00000' then return 0 end

local inbox = string.match(key, '^[^{]*') .. 'inbox:'

local function id_of(record) return string.match(record, '^%S+', 14) end

local function publish(to, message) return call('PUBLISH', inbox .. string.match(to, '^[^.]*') .. at, message) end

local function tell(record, untilUs)
  publish(id_of(record), format('%s %.0f', id_of(record), math.max(0, math.ceil((untilUs - now) / 1000))))
end

local function hold(spanMs, flag, record)
  local head = token .. stamp .. flag .. format('%08.0f', spanMs)
  call('SET', key, head .. sub(record, 9), 'PX', spanMs + RETENTION_MS)
  return token
end

-- The first waiter from a ticket on becomes the head of the queue. Tickets of those who left are gaps.
local function set_first(ticket, final)
  for candidate = ticket, final do
    local record = call('HGET', queue, format('w%.0f', candidate))
    if record then
      call('HSET', queue, 'a', format('%.0f', candidate))
      return record
    end
  end
  call('DEL', queue)
end

-- Takes one out of the queue. Returns who is first now, and whether that is news.
local function remove(ticket, who)
  local ends = call('HMGET', queue, 'a', 'z')
  call('HDEL', queue, 'w' .. ticket, 'r' .. who)
  if ticket ~= ends[1] then return call('HGET', queue, 'w' .. ends[1]), false end
  return set_first(tonumber(ticket) + 1, tonumber(ends[2])), true
end

-- Hands the resource to the first waiter that listens, or frees it. Returns whether it is free. Who comes next is told first: the
-- server writes to its clients last come, first served, and the new holder is the one who must not wait.
local function hand_off()
  local ends = call('HMGET', queue, 'a', 'z')
  local ticket, final = ends[1], tonumber(ends[2])
  local record = ticket and call('HGET', queue, 'w' .. ticket)
  while record do
    local who = id_of(record)
    local spanMs = math.min(tonumber(sub(record, 1, 8)), tonumber(sub(record, 9, 13)))
    call('HDEL', queue, 'w' .. ticket, 'r' .. who)
    local behind = set_first(tonumber(ticket) + 1, final)
    if behind then tell(behind, now + spanMs * 1000) end
    if publish(who, format('%s %s %s %.0f', who, token, stamp, spanMs)) > 0 then
      hold(spanMs, behind and '1' or '0', record)
      return false
    end
    if at ~= '' then call('PUBLISH', inbox .. string.match(who, '^[^.]*'), who .. ' 0') end
    ticket, record = behind and call('HGET', queue, 'a'), behind
  end
  if state then call('SET', key, last .. FREE, 'KEEPTTL') end
  return true
end

if kind == 'r' and isOurs then
  hand_off()
  return ending > now and 1 or 0
end

local ticket = call('HGET', queue, 'r' .. id)

if kind == 'r' then
  if ticket then
    local behind, isNews = remove(ticket, id)
    if behind and isNews then tell(behind, ending) end
    if not behind and state then call('SETRANGE', key, 40, '0') end
  end
  return 0
end

local record, ttlMs = sub(order, 2), tonumber(sub(order, 2, 9))

if ending <= now then
  -- Nobody holds it, and some may be queued: it is the first one's.
  if ticket and ticket == call('HGET', queue, 'a') then
    local behind = remove(ticket, id)
    if behind then tell(behind, now + ttlMs * 1000) end
    return hold(ttlMs, behind and '1' or '0', record)
  end
  if hand_off() then return hold(ttlMs, '0', record) end
  state = call('GET', key)
  ending = now + tonumber(sub(state, 42, 49)) * 1000
  -- It can have gone to this very request, behind some who had left: then it is alive, and gets all of its time.
  if sub(state, 55, 55 + #id) == id .. ' ' then return hold(ttlMs, sub(state, 41, 41), record) end
  if sub(order, 10, 14) == '00000' then return 0 end
end

local isNew = not ticket
if isNew then
  ticket = format('%.0f', (tonumber(call('HGET', queue, 'z')) or 0) + 1)
  call('HSETNX', queue, 'a', ticket)
  call('HSET', queue, 'z', ticket, 'w' .. ticket, record, 'r' .. id, ticket)
  call('SETRANGE', key, 40, '1')
end
-- Never behind more than there are: tickets of those who left are gaps.
local position = math.min(tonumber(ticket) - tonumber(call('HGET', queue, 'a')), call('HLEN', queue) / 2 - 2)
local remainingMs = math.max(0, math.ceil((ending - now) / 1000))
-- Somebody who waits asks again before this is over.
local keepMs = remainingMs + RETENTION_MS
if call('PTTL', queue) < keepMs then call('PEXPIRE', queue, keepMs) end
return { now, remainingMs, position, isNew and 1 or 0, sub(at, 2) }
`

/** One step. KEYS[1] its state, KEYS[2] its queue, ARGV[1] its order. Returns its answer. */
export const leaseStep: Script = defineScript(`${PRELUDE}
local key, queue, order = KEYS[1], KEYS[2], ARGV[1]
${STEP}`)

/**
 * One step in a Cluster: as `leaseStep`, but whatever may grant is done only by a node that the client knows for long enough (see
 * `cluster-nodes.ts`). KEYS[1] its state, KEYS[2] its queue, ARGV[1] its order, ARGV[2] the nodes that may carry it out. Returns its
 * answer, or `@` and the node that was asked, which did nothing, when that is another one.
 *
 * A node is its replication id: it changes when a server starts, and when a replica becomes a master.
 */
export const leaseStepInCluster: Script = defineScript(`${PRELUDE}
local key, queue, order = KEYS[1], KEYS[2], ARGV[1]
${LEASE_GUARD}
${STEP}`)

/**
 * Many steps. KEYS[2i-1] the state, KEYS[2i] the queue and ARGV[i] the order of step i. Returns an answer for each; a step that
 * fails answers with an error and touches no other.
 */
export const leaseSteps: Script = defineScript(`${PRELUDE}
local function step(key, queue, order)
${STEP}
end

local answers = {}
for i = 1, #ARGV do
  local isFine, answer = pcall(step, KEYS[i * 2 - 1], KEYS[i * 2], ARGV[i])
  answers[i] = isFine and answer or redis.error_reply(type(answer) == 'table' and answer.err or tostring(answer))
end
return answers
`)
