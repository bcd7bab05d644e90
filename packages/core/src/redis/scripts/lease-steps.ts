import { defineScript } from './script.ts'
import type { Script } from './script.ts'

/**
 * Steps of leases, one or many in one call, each on its own resource and each under its own `pcall`.
 *
 * KEYS[i]  the hash of the resource of step i.
 * ARGV[1]  what the channel of an inbox starts with.
 * ARGV[2…] the steps, one behind the other:
 *   `a` id ttlMs claimMs wait meta   acquire: grant, or with wait `1` take a place in the queue. Again with the same id: the same answer.
 *   `r` id                           take back: free what the id holds, or leave the queue.
 *   `n` id ttlMs                     renew.
 *
 * Returns an answer for each step:
 *   a  { 'g', token } granted for all of ttlMs · { 'q', nowUs, remainingMs, position } queued · { 'h' } held by another
 *   r  1 it was held until now · 0 it was not
 *   n  1 renewed · 0 it is another's, or nobody's
 *   { 'e', message } the step failed
 *
 * The hash: `o` owner id, `t` last token (never goes back while the hash lives), `e` end in µs of server time, `m` meta of the
 * owner; the queue is `a` first and `z` last ticket, `w<ticket>` = "id ttlMs claimMs meta", `r<id>` = ticket.
 *
 * A release hands the lease straight to the first waiter: it publishes `id token nowUs spanMs` to that waiter's inbox (the id up
 * to its dot). Nobody listening means a closed inbox, and the next one is tried. The new first waiter is told `id remainingMs`, so
 * that it wakes when the new holder dies.
 *
 * The hash outlives the holder by RETENTION_MS of wall time: the last token then guards against a server clock that is set back;
 * after that, or when the data is lost, the server's time alone keeps tokens growing.
 */
export const leaseSteps: Script = defineScript(`
local RETENTION_MS = 60000
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local inbox = ARGV[1]

local function text(number) return string.format('%.0f', number) end

local function give(key, id, ttlMs, meta, last)
  local token = math.max((tonumber(last) or 0) + 1, now)
  redis.call('HSET', key, 'o', id, 't', text(token), 'e', text(now + ttlMs * 1000), 'm', meta)
  redis.call('PEXPIRE', key, ttlMs + RETENTION_MS)
  return token
end

local function publish(id, message)
  return redis.call('PUBLISH', inbox .. string.match(id, '^[^.]*'), message)
end

local function tell(waiter, ending)
  local id = string.match(waiter, '^%S+')
  publish(id, id .. ' ' .. text(math.max(0, math.ceil((ending - now) / 1000))))
end

-- Makes the first waiter from a ticket on the head of the queue: \`a\` always names one who waits. Tickets of those who left are gaps.
local function set_first(key, ticket, last)
  for candidate = ticket, last do
    local waiter = redis.call('HGET', key, 'w' .. text(candidate))
    if waiter then
      redis.call('HSET', key, 'a', text(candidate))
      return candidate, waiter
    end
  end
  redis.call('HDEL', key, 'a', 'z')
end

local function first_waiter(key, state)
  return state[4] and redis.call('HGET', key, 'w' .. state[4])
end

-- Frees the resource, or hands it to the first waiter that listens. Returns whether it is free now.
local function hand_off(key, state)
  local ticket, last = tonumber(state[4]), tonumber(state[5])
  local waiter = first_waiter(key, state)
  while waiter do
    local id, ttlMs, claimMs, meta = string.match(waiter, '^(%S+) (%S+) (%S+) (.*)$')
    redis.call('HDEL', key, 'w' .. text(ticket), 'r' .. id)
    ticket, waiter = set_first(key, ticket + 1, last)
    local spanMs = math.min(tonumber(ttlMs), tonumber(claimMs))
    local token = math.max((tonumber(state[3]) or 0) + 1, now)
    if publish(id, id .. ' ' .. text(token) .. ' ' .. text(now) .. ' ' .. text(spanMs)) > 0 then
      give(key, id, spanMs, meta, state[3])
      if waiter then tell(waiter, now + spanMs * 1000) end
      return false
    end
  end
  redis.call('HDEL', key, 'o', 'e', 'm')
  return true
end

-- Returns the new first waiter when it was the first who left.
local function leave_queue(key, id, state)
  local ticket = redis.call('HGET', key, 'r' .. id)
  if not ticket then return end
  redis.call('HDEL', key, 'r' .. id, 'w' .. ticket)
  if ticket ~= state[4] then return end
  local _, waiter = set_first(key, tonumber(ticket) + 1, tonumber(state[5]))
  return waiter
end

local function enqueue(key, id, ttlMs, claimMs, meta, state)
  local ticket = tonumber(redis.call('HGET', key, 'r' .. id))
  local first = tonumber(state[4])
  if not ticket then
    ticket = (tonumber(state[5]) or 0) + 1
    first = first or ticket
    local waiter = id .. ' ' .. ttlMs .. ' ' .. claimMs .. ' ' .. meta
    redis.call('HSET', key, 'a', text(first), 'z', text(ticket), 'w' .. text(ticket), waiter, 'r' .. id, text(ticket))
  end
  local remainingMs = math.max(0, math.ceil((tonumber(state[2]) - now) / 1000))
  return { 'q', now, remainingMs, ticket - first }
end

local function acquire(key, id, ttlMs, claimMs, wait, meta)
  local state = redis.call('HMGET', key, 'o', 'e', 't', 'a', 'z')
  local isHeld = state[1] and tonumber(state[2]) > now
  if isHeld and state[1] == id then
    redis.call('HSET', key, 'e', text(now + ttlMs * 1000))
    redis.call('PEXPIRE', key, ttlMs + RETENTION_MS)
    return { 'g', state[3] }
  end
  if not isHeld then
    local waiter = first_waiter(key, state)
    if waiter and string.match(waiter, '^%S+') == id then
      local token = give(key, id, ttlMs, meta, state[3])
      local behind = leave_queue(key, id, state)
      if behind then tell(behind, now + ttlMs * 1000) end
      return { 'g', text(token) }
    end
    if not waiter or hand_off(key, state) then
      return { 'g', text(give(key, id, ttlMs, meta, state[3])) }
    end
    state = redis.call('HMGET', key, 'o', 'e', 't', 'a', 'z')
    -- It can have gone to this very request, behind some who had left: then it is alive, and gets all of its time.
    if state[1] == id then return acquire(key, id, ttlMs, claimMs, wait, meta) end
  end
  if wait ~= '1' then return { 'h' } end
  return enqueue(key, id, ttlMs, claimMs, meta, state)
end

local function take_back(key, id)
  local state = redis.call('HMGET', key, 'o', 'e', 't', 'a', 'z')
  if state[1] == id then
    local wasHeld = tonumber(state[2]) > now
    hand_off(key, state)
    return wasHeld and 1 or 0
  end
  local behind = state[4] and leave_queue(key, id, state)
  if behind and state[2] then tell(behind, tonumber(state[2])) end
  return 0
end

local function renew(key, id, ttlMs)
  local state = redis.call('HMGET', key, 'o', 'e')
  if state[1] ~= id or tonumber(state[2]) <= now then return 0 end
  redis.call('HSET', key, 'e', text(now + ttlMs * 1000))
  redis.call('PEXPIRE', key, ttlMs + RETENTION_MS)
  return 1
end

local answers = {}
local at = 2
for step = 1, #KEYS do
  local kind, id = ARGV[at], ARGV[at + 1]
  local isFine, answer
  if kind == 'a' then
    isFine, answer = pcall(acquire, KEYS[step], id, tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), ARGV[at + 4], ARGV[at + 5])
    at = at + 6
  elseif kind == 'n' then
    isFine, answer = pcall(renew, KEYS[step], id, tonumber(ARGV[at + 2]))
    at = at + 3
  else
    isFine, answer = pcall(take_back, KEYS[step], id)
    at = at + 2
  end
  answers[step] = isFine and answer or { 'e', type(answer) == 'table' and answer.err or tostring(answer) }
end
return answers
`)
