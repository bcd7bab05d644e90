import { PERMIT_ERROR } from '../../rates/bucket.ts'
import { defineScript } from './script.ts'
import type { Script } from './script.ts'

/*
 * Steps of rates. A key is a text: the server's time in µs, a space, and how many permits were out then (see `rates/bucket.ts`).
 * It expires once none is, by the quota that took last. More than a burst may be out, where a quota with a larger one took it: that stays
 * out, and who is refused for it writes nothing.
 *
 * Of the server's clock there is only what it shows now. A key from its future was written before it went back, or by another
 * server: permits come back from now on. That is written also where a take is refused, or the key would stay closed until then.
 */

const PRELUDE = `
local ERROR = ${PERMIT_ERROR}
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000000 + time[2]

-- How many are out, or nil where there is nothing; and whether it is from the future of the clock.
local function level_of(key, limit, period)
  local stored = call('GET', key)
  if not stored then return nil, false end
  local space = string.find(stored, ' ', 1, true)
  local since, level = tonumber(string.sub(stored, 1, space - 1)), tonumber(string.sub(stored, space + 1))
  if since < now then level = level - (now - since) * limit / period end
  return level > 0 and level or 0, since > now
end

local function keep(key, limit, period, level)
  local text = string.format('%.0f %.17g', now, level)
  call('SET', key, text, 'PX', string.format('%.0f', math.ceil(level * period / limit / 1000) + 1))
end
`

const DECIDE = `${PRELUDE}
-- What is answered; and the level to keep, false where nothing is taken, or nil where it is refused.
local function decide(key, at)
  local limit, period, burst = tonumber(ARGV[at - 4]), ARGV[at - 3] * 1000, tonumber(ARGV[at - 2])
  local cost = tonumber(ARGV[at - 1])
  local level, is_ahead = level_of(key, limit, period)
  level = level or 0
  if is_ahead then
    if level > burst then level = burst end
    keep(key, limit, period, level)
  end
  local room = math.floor(burst - level + ERROR)
  local granted = cost < room and cost or room
  if granted < tonumber(ARGV[at]) then return string.format('- %.17g', level), nil end
  level = level + granted
  return string.format('%.0f %.17g', granted, level), granted > 0 and level
end

local function take(key, at, level)
  keep(key, tonumber(ARGV[at - 4]), ARGV[at - 3] * 1000, level)
end
`

/**
 * Takes from quotas, of all or of none.
 *
 * KEYS[1…]  the keys, each once.
 * ARGV      for each key: limit, period in ms, burst, cost, least.
 *
 * Returns for each key a text: what is granted, or `-` where it is refused; a space; how many are out then.
 */
export const takeRates: Script = defineScript(`${DECIDE}
local answers, levels, is_refused = {}, {}, false
for index, key in ipairs(KEYS) do
  answers[index], levels[index] = decide(key, index * 5)
  is_refused = is_refused or levels[index] == nil
end
if is_refused then return answers end
for index, key in ipairs(KEYS) do
  if levels[index] then take(key, index * 5, levels[index]) end
end
return answers
`)

/**
 * Takes from quotas, one after the other, as if each came in a call of its own. KEYS and ARGV as above; a key may come again.
 *
 * Returns the same texts, and in place of one an error.
 */
export const takeEachRate: Script = defineScript(`${DECIDE}
local function take_one(key, at)
  local answer, level = decide(key, at)
  if level then take(key, at, level) end
  return answer
end
local answers = {}
for index, key in ipairs(KEYS) do
  local is_done, answer = pcall(take_one, key, index * 5)
  answers[index] = (is_done or type(answer) == 'table') and answer or { err = 'ERR ' .. tostring(answer) }
end
return answers
`)

/**
 * Gives permits back. A key that is not there is whole already.
 *
 * KEYS[1]  the key.
 * ARGV     limit, period in ms, burst, count.
 *
 * Returns 1.
 */
export const giveBackRate: Script = defineScript(`${PRELUDE}
local limit, period, burst = tonumber(ARGV[1]), ARGV[2] * 1000, tonumber(ARGV[3])
local level = level_of(KEYS[1], limit, period)
if not level then return 1 end
level = level - ARGV[4]
if level > burst then
  call('SET', KEYS[1], string.format('%.0f %.17g', now, level), 'KEEPTTL')
elseif level > ERROR then
  keep(KEYS[1], limit, period, level)
else
  call('DEL', KEYS[1])
end
return 1
`)
