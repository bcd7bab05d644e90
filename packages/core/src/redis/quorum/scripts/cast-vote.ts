import type { Script } from '../../scripts/script.ts'
import { defineScript } from '../../scripts/script.ts'

/*
 * The state of a resource on one server of a quorum is one text: the highest token that it proposed or was raised to (20 digits, never
 * goes back while the text lives), since when the server was in service when it last voted (16 digits, of its marker), and while somebody
 * has the vote its record: keepMs (8 digits), the request's id, ` ` and its meta.
 *
 * It outlives the vote by keepMs, so the vote stands while there is more than that to live. keepMs is more than clocks can differ by:
 * from then on the server's time alone keeps tokens growing. So it does where the text is of an earlier time in service, since it may
 * be an old copy; else one more than the last token will do, and the time need not be asked for. Tokens are written by `%.0f`: `%d` takes
 * a `long`, which has 32 bits on some machines.
 */

/**
 * Gives the server's vote on a resource to a request, if it is free or the request's already.
 *
 * KEYS[1] the server's marker, KEYS[2] the state.
 * ARGV    the marker of a server that may vote, as the caller knows it · `master_replid:` and the replication id in it · since when it is
 *         in service by that, and the record · for how long the state is to be kept, in ms. Of a server that is another process the caller
 *         knows by its connection.
 *
 * Returns a token, as text of 20 digits · { "held", who, remainingMs } · 0 where the server is not as the caller knows it.
 */
export const castVote: Script = defineScript(`
local values = redis.call('MGET', KEYS[1], KEYS[2])
if values[1] ~= ARGV[1] or not string.find(redis.call('INFO', 'replication'), ARGV[2], 1, true) then return 0 end

local state, token = values[2], nil
if state then
  if #state > 36 then
    local remainingMs = redis.call('PTTL', KEYS[2]) - tonumber(string.sub(state, 37, 44))
    local holder = string.match(state, '^%S+', 45)
    if remainingMs > 0 and holder ~= string.match(ARGV[3], '^%S+', 25) then return { 'held', holder, remainingMs } end
  end
  token = string.format('%020.0f', tonumber(string.sub(state, 1, 20)) + 1)
end
if not token or string.sub(state, 21, 36) ~= string.sub(ARGV[3], 1, 16) then
  local time = redis.call('TIME')
  local stamp = '0000' .. time[1] .. string.sub('00000' .. time[2], -6)
  if not token or token < stamp then token = stamp end
end
redis.call('SET', KEYS[2], token .. ARGV[3], 'PX', ARGV[4])
return token
`)
