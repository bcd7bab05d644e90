import { PERMIT_ERROR } from '../../rates/bucket.ts'
import { defineScript } from './script.ts'
import type { Script } from './script.ts'

/*
 * Steps of rates. A key is a text: the server's time in µs, a space, and how many permits were out then (see `rates/bucket.ts`).
 * It expires once none is.
 *
 * Of the server's clock there is only what it shows now. A key from its future was written before it went back, or by another
 * server: permits come back from now on. That is written also where a take is refused, or the key would stay closed until then.
 */

const PRELUDE = `
local ERROR = ${PERMIT_ERROR}
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000000 + time[2]

-- How many are out, or nil where there is nothing; and whether what is stored has to be set right.
local function level_of(key, limit, period, burst)
  local stored = call('GET', key)
  if not stored then return nil, false end
  local space = string.find(stored, ' ', 1, true)
  local since, level = tonumber(string.sub(stored, 1, space - 1)), tonumber(string.sub(stored, space + 1))
  if since < now then level = level - (now - since) * limit / period end
  if level < 0 then level = 0 end
  if level > burst then return burst, true end
  return level, since > now
end

local function keep(key, limit, period, level)
  local text = string.format('%.0f %.17g', now, level)
  call('SET', key, text, 'PX', string.format('%.0f', math.ceil(level * period / limit / 1000) + 1))
end
`

/**
 * Takes from quotas, of all or of none.
 *
 * KEYS[1…]  the keys.
 * ARGV      for each key: limit, period in ms, burst, cost, least.
 *
 * Returns for each key a text: what is granted, or `-` where it is refused; a space; how many are out then.
 */
export const takeRates: Script = defineScript(`${PRELUDE}
local answers, levels, isRefused = {}, {}, false
for index, key in ipairs(KEYS) do
  local at = index * 5
  local limit, period, burst = tonumber(ARGV[at - 4]), ARGV[at - 3] * 1000, tonumber(ARGV[at - 2])
  local cost = tonumber(ARGV[at - 1])
  local level, isWrong = level_of(key, limit, period, burst)
  level = level or 0
  if isWrong then keep(key, limit, period, level) end
  local room = math.floor(burst - level + ERROR)
  local granted = cost < room and cost or room
  if granted < tonumber(ARGV[at]) then
    isRefused = true
    answers[index] = string.format('- %.17g', level)
  else
    levels[index] = granted > 0 and level + granted
    answers[index] = string.format('%.0f %.17g', granted, level + granted)
  end
end
if isRefused then return answers end
for index, key in ipairs(KEYS) do
  if levels[index] then keep(key, tonumber(ARGV[index * 5 - 4]), ARGV[index * 5 - 3] * 1000, levels[index]) end
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
local level = level_of(KEYS[1], limit, period, burst)
if not level then return 1 end
level = level - ARGV[4]
if level > ERROR then keep(KEYS[1], limit, period, level) else call('DEL', KEYS[1]) end
return 1
`)
