import type { Script } from '../../scripts/script.ts'
import { defineScript } from '../../scripts/script.ts'
import { NOW, STANDING } from './standing.ts'

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
 * ARGV    quarantineMs · the marker as the caller knows it · from when on the server may vote by that, in µs · `master_replid:` and the
 *         replication id in it · the record · for how long the state is to be kept, in ms. Of a server that is another process the caller
 *         knows by its connection.
 *
 * Returns a token, as text of 20 digits · { "held", who, remainingMs } · { "quarantined", remainingMs, marker, from when on } · { "yes",
 * token, marker, from when on } where the caller knew another marker.
 */
export const castVote: Script = defineScript(`${NOW}
local values = redis.call('MGET', KEYS[1], KEYS[2])
local state, news = values[2], nil
if values[1] ~= ARGV[2] or now < tonumber(ARGV[3]) or not string.find(redis.call('INFO', 'replication'), ARGV[4], 1, true) then
  ${STANDING}
  if quarantineMs > 0 then return { 'quarantined', quarantineMs, marker, votesAtUs } end
  news = { 'yes', '', marker, votesAtUs }
end

local token = stamp
if state then
  local last = string.sub(state, 1, 20)
  if tonumber(last) >= now then token = string.format('%020.0f', tonumber(last) + 1) end
  if #state > 41 then
    local ending = tonumber(string.sub(state, 21, 40)) + tonumber(string.sub(state, 42, 49)) * 1000
    if ending > now then
      local holder = string.match(state, '^%S+', 55)
      if holder ~= string.match(ARGV[5], '^%S+', 14) then
        return { 'held', holder, math.ceil((ending - now) / 1000) }
      end
      token = last
    end
  end
end
redis.call('SET', KEYS[2], token .. stamp .. '0' .. ARGV[5], 'PX', ARGV[6])
if not news then return token end
news[2] = token
return news
`)
