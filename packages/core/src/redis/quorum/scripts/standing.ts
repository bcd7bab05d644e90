/*
 * Whether this server may vote at all. KEYS[1] is its marker, a string "identity sinceUs quarantineMs origin", ARGV[1] the caller's
 * quarantineMs. Leaves `quarantineMs`, 0 or less when it may, and `marker`, by which callers show that they know it already: finding it
 * out costs more than a vote.
 *
 * The identity is the server's run id, new each time that it starts, and its replication id, new each time that it becomes a master: a
 * server that was emptied has no marker, and one that was started with an old snapshot, or took over the data of another, has the marker
 * of somebody else. Either way it counts from now on, by its own clock, and until the quarantine is over it votes for nobody. So the age
 * of a marker is never more than the server's uptime, which need not be looked at as well. The longest quarantine that anybody asked for
 * counts. The origin is `n` of a server that had no marker, `r` of one that had another's.
 */
export const STANDING = `
local info = redis.call('INFO', 'server', 'replication')
local identity = string.match(info, 'run_id:(%x+)') .. ':' .. string.match(info, 'master_replid:(%x+)')
local marker = redis.call('GET', KEYS[1]) or ''
local known, since, span, origin = string.match(marker, '^(%S+) (%d+) (%d+) (%a)$')
local asked = tonumber(ARGV[1])

local function mark(sinceUs, spanMs, from)
  marker = string.format('%s %.0f %.0f %s', identity, sinceUs, spanMs, from)
  redis.call('SET', KEYS[1], marker)
  since, span, origin = sinceUs, spanMs, from
end

if known ~= identity then
  mark(now, asked, known and 'r' or 'n')
elseif tonumber(span) < asked then
  mark(tonumber(since), asked, origin)
end
local quarantineMs = math.ceil(tonumber(span) - (now - tonumber(since)) / 1000)
`

/** The time on the server: `now`, in µs. */
export const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
`
