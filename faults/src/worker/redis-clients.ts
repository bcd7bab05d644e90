import { Redis } from 'ioredis'

/** Where sentinels are, and how the master that they name is reached. */
export interface SentinelAddress {
  readonly sentinelPorts: readonly number[]
  readonly name: string
  readonly nat?: { readonly named: number; readonly reached: number } | undefined
}

/** A client of the master that sentinels name. It connects when it is used. */
export function sentinelClient({ sentinelPorts, name, nat }: SentinelAddress): Redis {
  const client = new Redis({
    sentinels: sentinelPorts.map(port => ({ host: '127.0.0.1', port })),
    name,
    lazyConnect: true,
    ...(nat === undefined ? {} : { natMap: { [`127.0.0.1:${nat.named}`]: { host: '127.0.0.1', port: nat.reached } } }),
  })
  client.on('error', () => {})
  return client
}
