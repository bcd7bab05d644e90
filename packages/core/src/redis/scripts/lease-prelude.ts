/**
 * What the scripts of leases start with: the server's time as `stamp` (20 digits of µs) and `now` (the same as a number), and how long
 * what is kept of a resource outlives its holders.
 */
export const LEASE_PRELUDE: string = `
local RETENTION_MS = 60000
local call, sub, format = redis.call, string.sub, string.format
local at = ''
local time = call('TIME')
local stamp = '0000' .. time[1] .. sub('00000' .. time[2], -6)
local now = tonumber(stamp)
`

/**
 * In a Cluster: nothing that may grant is done by a node that ARGV[2] does not name (see `cluster-nodes.ts`). A node is its replication
 * id: it changes when a server starts, and when a replica becomes a master.
 */
export const LEASE_GUARD = `if sub(order, 1, 1) ~= 'n' then
  local node = sub(string.match(call('INFO', 'replication'), 'master_replid:(%x+)'), 1, 16)
  if not string.find(ARGV[2], node, 1, true) then return '@' .. node end
  at = ':' .. node
end`
