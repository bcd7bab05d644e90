import type { Script } from '../../scripts/script.ts'
import { defineScript } from '../../scripts/script.ts'
import { NOW, STANDING } from './standing.ts'

/**
 * How long until a server may vote. KEYS[1] its marker, ARGV[1] quarantineMs.
 *
 * Returns { ms, 0 or less when it may, its marker, the marker's key as it is on the server: the driver puts a client's own prefix before
 * keys that it is given, and not into texts }.
 */
export const askStanding: Script = defineScript(`${NOW}${STANDING}
return { quarantineMs, marker, KEYS[1] }
`)

/**
 * Lets a server vote at once that never has. KEYS[1] its marker, ARGV quarantineMs, `look` or `admit`.
 *
 * Returns `new` when it has never voted and may not yet, `voting` when it may, `returned` when it was in service before and came back.
 * `admit` lets it vote where it is `new`.
 */
export const admitServer: Script = defineScript(`${NOW}${STANDING}
local standing = quarantineMs <= 0 and 'voting' or origin == 'n' and 'new' or 'returned'
if ARGV[2] == 'admit' and standing == 'new' then mark(0, asked, origin) end
return standing
`)
