/**
 * Remembers since when this server is the one that answers, so that grants can be held back after a restart or failover.
 *
 * KEYS[1]  the marker, a string "identity sinceUs".
 * ARGV[1]  the identity that the server now has (run id and replication id).
 * ARGV[2]  `1` when the server has provably been this one for longer than any clock skew.
 *
 * Returns for how many µs it has been known under this identity; a new identity starts at 0, or at a year when it is proven.
 */
export const serverMarker = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local marker = redis.call('GET', KEYS[1])
local identity, since = string.match(marker or '', '^(%S+) (%d+)$')
if identity ~= ARGV[1] then
  since = ARGV[2] == '1' and now - 31536000000000 or now
  redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. string.format('%.0f', since))
end
return math.max(0, now - tonumber(since))
`
