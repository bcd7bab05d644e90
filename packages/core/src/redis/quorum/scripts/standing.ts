/*
 * What every script that may give a vote begins with: whether this server may vote at all. KEYS[1] is its marker, a string
 * "identity sinceUs quarantineMs origin", ARGV[1] the caller's quarantineMs.
 *
 * The identity is the server's run id, new each time that it starts, and its replication id, new each time that it becomes a master: a
 * server that was emptied has no marker, and one that was started with an old snapshot, or took over the data of another, has the marker
 * of somebody else. Either way it counts from now on, by its own clock, and until the quarantine is over it votes for nobody. So the age
 * of a marker is never more than the server's uptime, which need not be looked at as well. The longest quarantine that anybody asked for
 * counts. The origin is `n` of a server that had no marker, `r` of one that had another's.
 */
export const STANDING = `
local call, sub, format = redis.call, string.sub, string.format
local time = call('TIME')
local stamp = '0000' .. time[1] .. sub('00000' .. time[2], -6)
local now = tonumber(stamp)

local info = call('INFO', 'server', 'replication')
local identity = string.match(info, 'run_id:(%x+)') .. ':' .. string.match(info, 'master_replid:(%x+)')
local known, since, span, origin = string.match(call('GET', KEYS[1]) or '', '^(%S+) (%d+) (%d+) (%a)$')
local asked = tonumber(ARGV[1])

local function mark(sinceUs, spanMs, from)
  call('SET', KEYS[1], format('%s %.0f %.0f %s', identity, sinceUs, spanMs, from))
  since, span, origin = sinceUs, spanMs, from
end

if known ~= identity then
  mark(now, asked, known and 'r' or 'n')
elseif tonumber(span) < asked then
  mark(tonumber(since), asked, origin)
end
local quarantineMs = math.ceil(tonumber(span) - (now - tonumber(since)) / 1000)
`
