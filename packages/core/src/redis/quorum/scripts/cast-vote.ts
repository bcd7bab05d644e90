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

/** What a server that may vote is known by. */
export interface KnownServer {
  /** As it is on the server. */
  readonly standingKey: string
  readonly marker: string
  /** The replication id in it. Another process is known by its connection. */
  readonly replication: string
}

/**
 * Give a server's vote on a resource to a request, if it is free or the request's already. Each is for one server as the caller knows it:
 * what is the same in every call stands in the text, which is sent once.
 *
 * KEYS[1] the state. ARGV the record · for how long the state is to be kept, in ms.
 *
 * Return a token, as text of 20 digits · { "held", who, remainingMs } · 0 where the server is not as the caller knows it.
 */
export interface CastScripts {
  /** Proposes a token: above the register, and no less than the server's clock in µs. */
  readonly fenced: Script
  /** Proposes none: the register stays as it is, and is what it returns. */
  readonly unfenced: Script
}

/** See `CastScripts`. */
export function castScripts(server: KnownServer): CastScripts {
  return { fenced: castScript(server, PROPOSE), unfenced: castScript(server, '') }
}

const REFUSE = defineScript('return 0')

/** For a server of which nobody knows yet whether it may vote. */
export const UNKNOWN_SERVER: CastScripts = { fenced: REFUSE, unfenced: REFUSE }

const PROPOSE = `
local time = redis.call('TIME')
local now = '0000' .. time[1] .. string.sub('00000' .. time[2], -6)
if token < now then token = now else token = string.format('%020.0f', tonumber(token) + 1) end
`

function castScript({ standingKey, marker, replication }: KnownServer, propose: string): Script {
  return defineScript(`
if redis.call('GET', ${quote(standingKey)}) ~= ${quote(marker)} then return 0 end
if not string.find(redis.call('INFO', 'replication'), ${quote(`master_replid:${replication}`)}, 1, true) then return 0 end

local token, state = '${NO_TOKEN}', redis.call('GET', KEYS[1])
if state then
  token = string.sub(state, 1, 20)
  if #state > 20 then
    local leftMs = redis.call('PTTL', KEYS[1])
    local remainingMs = leftMs - tonumber(string.sub(state, 21, 28))
    local holder = string.match(state, '^%S+', 29)
    if holder ~= string.match(ARGV[1], '^%S+', 9) then
      if remainingMs > 0 then return { 'held', holder, remainingMs } end
    -- An old question that comes late: what was made longer since stays so.
    elseif remainingMs > 0 and leftMs > tonumber(ARGV[2]) then
      return token
    end
  end
end
${propose}
redis.call('PSETEX', KEYS[1], ARGV[2], token .. ARGV[1])
return token
`)
}

/** A text in Lua, whatever is in it. */
function quote(text: string): string {
  const escaped = [...new TextEncoder().encode(text)].map(byte => `\\${String(byte).padStart(3, '0')}`)
  return `'${escaped.join('')}'`
}
