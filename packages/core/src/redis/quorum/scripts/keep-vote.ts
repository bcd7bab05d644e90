import type { Script } from '../../scripts/script.ts'
import { defineScript } from '../../scripts/script.ts'

// Steps of one who has the vote. The state is that of `cast-vote.ts`. None of them gives a vote, so the server's standing is no matter:
// a vote that is still there is there, also after a restart.
const HOLDER = `
local call, sub = redis.call, string.sub
local state = call('GET', KEYS[1])
if not state or #state <= 41 or sub(state, 55, 55 + #ARGV[1]) ~= ARGV[1] .. ' ' then return 0 end
local time = call('TIME')
local stamp = '0000' .. time[1] .. sub('00000' .. time[2], -6)
local isStanding = tonumber(sub(state, 21, 40)) + tonumber(sub(state, 42, 49)) * 1000 > tonumber(stamp)
-- A server that is out of memory refuses the first write of a script if it could need more, and none after one that cannot.
local function set(text, keepMs)
  local words = keepMs and { 'PX', keepMs } or { 'KEEPTTL' }
  if not redis.pcall('SET', KEYS[1], text, unpack(words)).err then return end
  call('PEXPIRE', KEYS[1], keepMs or call('PTTL', KEYS[1]))
  call('SET', KEYS[1], text, unpack(words))
end
`

/** Raises the register. KEYS[1] the state. ARGV id, token (20 digits). Returns 1 if the vote stands, else 0. */
export const raiseToken: Script = defineScript(`${HOLDER}
if not isStanding then return 0 end
if tonumber(sub(state, 1, 20)) < tonumber(ARGV[2]) then set(ARGV[2] .. sub(state, 21)) end
return 1
`)

/** Renews a vote. KEYS[1] the state. ARGV id, ttlMs (8 digits), keepMs. Returns 1 if it stands, else 0. */
export const renewVote: Script = defineScript(`${HOLDER}
if not isStanding then return 0 end
set(sub(state, 1, 20) .. stamp .. '0' .. ARGV[2] .. sub(state, 50), tonumber(ARGV[2]) + tonumber(ARGV[3]))
return 1
`)

/** Frees a vote. KEYS[1] the state. ARGV id. Returns 1 if it stood until now, else 0. */
export const withdrawVote: Script = defineScript(`${HOLDER}
set(sub(state, 1, 20) .. '000000000000000000000')
return isStanding and 1 or 0
`)
