import { usageError } from '../exit-codes.ts'

/** Where a store is, read from an address. */
export type StoreAddress =
  | { readonly kind: 'redis'; readonly url: string; readonly prefix: string | undefined }
  | {
      readonly kind: 'zookeeper'
      readonly connect: string
      readonly root: string | undefined
      /** `user:password` */
      readonly digest: string | undefined
    }
  | { readonly kind: 'postgres'; readonly url: string; readonly schema: string | undefined }

/** What is said of a store beside its address. */
export interface AddressDetails {
  readonly prefix?: string | undefined
  /** `user:password`: the address of ZooKeeper has no place for it. */
  readonly zookeeperAuth?: string | undefined
}

const EXAMPLES =
  'redis://host:6379, rediss://host:6380, zookeeper://host:2181,host:2181/root or postgres://host/database?schema=holdfast'
const ZOOKEEPER = /^zookeeper:\/\/([^/?#]+)(\/[^?#]*)?$/

/**
 * Reads the address of a store: `redis://[user:password@]host:port[/db][?prefix=hf]`, `rediss://…`,
 * `zookeeper://host:port,host:port[/root]`, `postgres://[user:password@]host/database[?schema=holdfast]`.
 *
 * @throws {CommandError} `usage`; of what was typed it shows the scheme alone, as the rest may hold a password
 */
export function parseAddress(text: string, { prefix, zookeeperAuth }: AddressDetails = {}): StoreAddress {
  const scheme = /^[a-z+]+(?=:)/.exec(text)?.[0] ?? ''
  if (prefix !== undefined && scheme !== 'redis' && scheme !== 'rediss') {
    throw usageError(
      '--prefix is for Redis: on ZooKeeper the path of the address is the root, on PostgreSQL ?schema= names the schema.',
    )
  }
  switch (scheme) {
    case 'redis':
    case 'rediss': {
      const { url, parameter } = withoutParameter(text, 'prefix')
      return { kind: 'redis', url, prefix: prefix ?? parameter }
    }
    case 'postgres':
    case 'postgresql': {
      const { url, parameter } = withoutParameter(text, 'schema')
      return { kind: 'postgres', url, schema: parameter }
    }
    case 'zookeeper':
      return zookeeperAt(text, zookeeperAuth)
    default:
      throw notUnderstood(scheme)
  }
}

/** The address as a message may show it. */
export function shownAddress(address: StoreAddress): string {
  switch (address.kind) {
    case 'redis':
    case 'postgres': {
      const { protocol, host, pathname } = new URL(address.url)
      return `${protocol}//${host}${pathname}`
    }
    case 'zookeeper':
      return `zookeeper://${address.connect}${address.root ?? ''}`
  }
}

function withoutParameter(text: string, name: string): { url: string; parameter: string | undefined } {
  if (!URL.canParse(text)) throw notUnderstood(text.split(':', 1)[0] ?? '')
  const url = new URL(text)
  const parameter = url.searchParams.get(name) ?? undefined
  url.searchParams.delete(name)
  return { url: url.href, parameter }
}

function zookeeperAt(text: string, digest: string | undefined): StoreAddress {
  const [, connect, path = ''] = ZOOKEEPER.exec(text) ?? []
  if (connect === undefined) throw notUnderstood('zookeeper')
  if (connect.includes('@')) {
    throw usageError(
      'Expected no credentials in the address of ZooKeeper: HOLDFAST_ZOOKEEPER_AUTH=user:password has them.',
    )
  }
  const root = path.replace(/\/$/, '')
  return { kind: 'zookeeper', connect, root: root === '' ? undefined : root, digest }
}

function notUnderstood(scheme: string): Error {
  return usageError(
    `Expected the address of a store to be like ${EXAMPLES}, got ${scheme === '' ? 'none of them' : `${scheme}:…`}.`,
  )
}
