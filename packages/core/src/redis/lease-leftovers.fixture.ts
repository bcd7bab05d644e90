import type { Redis } from 'ioredis'
import { leaseKeys, sharedLeaseKeys } from './keys.ts'

// Of a resource that nobody holds or waits for, each state keeps the last token, for a while: 20 digits, no end, nobody queued.
const IDLE = /^\d{20}0{20}0$/

/** What is still there of a resource for those who hold or wait: nothing, once nobody does. */
export async function leaseLeftovers(
  admin: Pick<Redis, 'get' | 'hgetall' | 'hkeys' | 'exists'>,
  prefix: string,
  resource: string,
): Promise<readonly string[]> {
  const keys = leaseKeys(prefix, resource)
  const [state, queue] = await Promise.all([admin.get(keys.state), admin.hgetall(keys.queue)])
  const entries = Object.entries(queue).map(([field, value]) => `queue ${field} = ${value}`)
  if (state !== null && !IDLE.test(state)) entries.push(`state ${state}`)
  for (const kind of ['read-write', 'permits'] as const) {
    const shared = sharedLeaseKeys(prefix, resource, kind)
    const fields = (await admin.hkeys(shared.state)).filter(field => field !== 't')
    entries.push(...fields.map(field => `${kind} ${field}`))
    if ((await admin.exists(shared.ends, shared.queue, shared.slots)) > 0) entries.push(`${kind} ends, queue or slots`)
  }
  return entries
}
