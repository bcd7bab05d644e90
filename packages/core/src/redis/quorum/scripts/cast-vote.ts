import type { Script } from '../../scripts/script.ts'
import { defineScript } from '../../scripts/script.ts'
import { STANDING } from './standing.ts'

/*
 * The state of a resource on one server of a quorum is one text: the highest token that it proposed or was raised to (20 digits, never
 * goes back while the text lives), the µs of server time from when the vote counts (20 digits, zeros when nobody has it), a `0`, and
 * while somebody has the vote its record: ttlMs (8 digits), 5 zeros, the request's id, ` ` and its meta.
 *
 * It outlives the vote by keepMs, which is more than clocks can differ by: from then on the server's time alone keeps tokens growing.
 */

/**
 * Gives the server's vote on a resource to a request, if it is free or the request's already.
 *
 * KEYS[1] the server's marker, KEYS[2] the state.
 * ARGV    quarantineMs, id, ttlMs (8 digits), keepMs, meta.
 *
 * Returns a token, as text of 20 digits · { "held", who, remainingMs } · { "quarantined", remainingMs }.
 */
export const castVote: Script = defineScript(`${STANDING}
if quarantineMs > 0 then return { 'quarantined', quarantineMs } end

local id, state = ARGV[2], call('GET', KEYS[2])
local last = state and sub(state, 1, 20) or '0'
local holder, ending = nil, 0
if state and #state > 41 then
  holder, ending = string.match(state, '^%S+', 55), tonumber(sub(state, 21, 40)) + tonumber(sub(state, 42, 49)) * 1000
end
local isOurs = holder == id and ending > now
if ending > now and not isOurs then return { 'held', holder, math.ceil((ending - now) / 1000) } end

local token = last
if not isOurs then token = tonumber(last) < now and stamp or format('%020.0f', tonumber(last) + 1) end
local record = ARGV[3] .. '00000' .. id .. ' ' .. ARGV[5]
call('SET', KEYS[2], token .. stamp .. '0' .. record, 'PX', tonumber(ARGV[3]) + tonumber(ARGV[4]))
return token
`)
