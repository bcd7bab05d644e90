import type { Script } from '../../scripts/script.ts'
import { defineScript } from '../../scripts/script.ts'
import { NOW } from './standing.ts'

/*
 * Steps of one who has the vote. The state is that of `cast-vote.ts`. None of them gives a vote, so the server's standing is no matter: a
 * vote that is still there is there, also after a restart.
 *
 * A server that is out of memory refuses the first write of a script if it could need more, and none after one that cannot: where `SET` is
 * refused, `PEXPIRE` opens the way.
 */
const HOLDER = `
local state = redis.call('GET', KEYS[1])
if not state or #state <= 41 or string.sub(state, 55, 55 + #ARGV[1]) ~= ARGV[1] .. ' ' then return 0 end
${NOW}
local isStanding = tonumber(string.sub(state, 21, 40)) + tonumber(string.sub(state, 42, 49)) * 1000 > now
`

/** Raises the register. KEYS[1] the state. ARGV id, token (20 digits). Returns 1 if the vote stands, else 0. */
export const raiseToken: Script = defineScript(`${HOLDER}
if not isStanding then return 0 end
if tonumber(string.sub(state, 1, 20)) >= tonumber(ARGV[2]) then return 1 end
local raised = ARGV[2] .. string.sub(state, 21)
if redis.pcall('SET', KEYS[1], raised, 'KEEPTTL').err then
  redis.call('PEXPIRE', KEYS[1], redis.call('PTTL', KEYS[1]))
  redis.call('SET', KEYS[1], raised, 'KEEPTTL')
end
return 1
`)

/** Renews a vote. KEYS[1] the state. ARGV id, ttlMs (8 digits), for how long to keep the state, in ms. Returns 1 if it stands, else 0. */
export const renewVote: Script = defineScript(`${HOLDER}
if not isStanding then return 0 end
local renewed = string.sub(state, 1, 20) .. stamp .. '0' .. ARGV[2] .. string.sub(state, 50)
if redis.pcall('SET', KEYS[1], renewed, 'PX', ARGV[3]).err then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  redis.call('SET', KEYS[1], renewed, 'PX', ARGV[3])
end
return 1
`)

/** Frees a vote. KEYS[1] the state. ARGV id. Returns 1 if it stood until now, else 0. */
export const withdrawVote: Script = defineScript(`${HOLDER}
local freed = string.sub(state, 1, 20) .. '000000000000000000000'
if redis.pcall('SET', KEYS[1], freed, 'KEEPTTL').err then
  redis.call('PEXPIRE', KEYS[1], redis.call('PTTL', KEYS[1]))
  redis.call('SET', KEYS[1], freed, 'KEEPTTL')
end
return isStanding and 1 or 0
`)
