import type { Script } from '../../scripts/script.ts'
import { defineScript } from '../../scripts/script.ts'

/** A register that was never written. */
export const NO_TOKEN = '00000000000000000000'

/*
 * The state of a resource on one server of a quorum is one text: the highest token that it proposed or was raised to (20 digits, never
 * goes back while the text lives), and while somebody has the vote its record: keepMs (8 digits), the request's id, ` ` and its meta.
 *
 * It outlives the vote by keepMs, so the vote stands while there is more than that to live. keepMs is more than clocks can differ by:
 * from then on the server's time alone keeps tokens growing. Tokens are written by `%.0f`: `%d` takes a `long`, which has 32 bits on some
 * machines.
 */

/**
 * Gives the server's vote on a resource to a request, if it is free or the request's already, without a proposal for a token: the register
 * stays as it is.
 *
 * KEYS[1] the server's marker, KEYS[2] the state.
 * ARGV    the marker of a server that may vote, as the caller knows it · `master_replid:` and the replication id in it · the record · for
 *         how long the state is to be kept, in ms. Of a server that is another process the caller knows by its connection.
 *
 * Returns the register, as text of 20 digits · { "held", who, remainingMs } · 0 where the server is not as the caller knows it.
 */
export const castUnfencedVote: Script = castScript('')

/** As `castUnfencedVote`, and proposes a token, which it returns: above the register, and no less than the server's clock in µs. */
export const castVote: Script = castScript(`
local time = redis.call('TIME')
local now = '0000' .. time[1] .. string.sub('00000' .. time[2], -6)
if token < now then token = now else token = string.format('%020.0f', tonumber(token) + 1) end
`)

function castScript(propose: string): Script {
  return defineScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if not string.find(redis.call('INFO', 'replication'), ARGV[2], 1, true) then return 0 end

local token, state = '${NO_TOKEN}', redis.call('GET', KEYS[2])
if state then
  token = string.sub(state, 1, 20)
  if #state > 20 then
    local leftMs = redis.call('PTTL', KEYS[2])
    local remainingMs = leftMs - tonumber(string.sub(state, 21, 28))
    local holder = string.match(state, '^%S+', 29)
    if holder ~= string.match(ARGV[3], '^%S+', 9) then
      if remainingMs > 0 then return { 'held', holder, remainingMs } end
    -- An old question that comes late: what was made longer since stays so.
    elseif remainingMs > 0 and leftMs > tonumber(ARGV[4]) then
      return token
    end
  end
end
${propose}
redis.call('SET', KEYS[2], token .. ARGV[3], 'PX', ARGV[4])
return token
`)
}
