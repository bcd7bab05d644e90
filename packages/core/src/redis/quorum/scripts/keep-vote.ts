import type { Script } from '../../scripts/script.ts'
import { defineScript } from '../../scripts/script.ts'
import { NO_TOKEN } from './cast-vote.ts'

/*
 * Steps of one who has the vote. The state is that of `cast-vote.ts`. None of them gives a vote, so the server's standing is no matter: a
 * vote that is still there is there, also after a restart. One whose time is over is its request's until another takes it.
 *
 * A server that is out of memory refuses the first write of a script if it could need more, and none after one that cannot: where `SET` is
 * refused, `PEXPIRE` opens the way. ARGV[1] is the request's id and ` `.
 */
const HOLDER = `
local state = redis.call('GET', KEYS[1])
if not state or string.sub(state, 29, 28 + #ARGV[1]) ~= ARGV[1] then return 0 end
`

const WRITE = `
if redis.pcall('SET', KEYS[1], written, 'KEEPTTL').err then
  redis.call('PEXPIRE', KEYS[1], redis.call('PTTL', KEYS[1]))
  redis.call('SET', KEYS[1], written, 'KEEPTTL')
end
return 1
`

/** Raises the register. KEYS[1] the state. ARGV id, token (20 digits). Returns 1 if the vote is still there, else 0. */
export const raiseToken: Script = defineScript(`${HOLDER}
if string.sub(state, 1, 20) >= ARGV[2] then return 1 end
local written = ARGV[2] .. string.sub(state, 21)
${WRITE}`)

/**
 * Renews a vote. KEYS[1] the state. ARGV id, for how long to keep the state once the vote is over (8 digits) and together with it, in ms.
 * Returns 1 if the vote stands, else 0.
 */
export const renewVote: Script = defineScript(`${HOLDER}
if redis.call('PTTL', KEYS[1]) <= tonumber(string.sub(state, 21, 28)) then return 0 end
local renewed = string.sub(state, 1, 20) .. ARGV[2] .. string.sub(state, 29)
if redis.pcall('SET', KEYS[1], renewed, 'PX', ARGV[3]).err then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  redis.call('SET', KEYS[1], renewed, 'PX', ARGV[3])
end
return 1
`)

/** Frees a vote. KEYS[1] the state, which goes if it knows of no token. ARGV id. Returns 1 if it was there, else 0. */
export const withdrawVote: Script = defineScript(`${HOLDER}
local written = string.sub(state, 1, 20)
if written == '${NO_TOKEN}' then return redis.call('DEL', KEYS[1]) end
${WRITE}`)
