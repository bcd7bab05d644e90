import { percentEncode } from '../names.ts'

const RESERVED = /[{}%]/g

/** Where everything about leases on a resource is kept: one hash, so that one slot of a Cluster has it all. */
export function leaseKey(prefix: string, resource: string): string {
  return `${prefix}:{${percentEncode(resource, RESERVED)}}`
}

/** What the channels of all inboxes start with; the rest is what request ids start with. */
export function inboxPrefix(prefix: string): string {
  return `${prefix}:inbox:`
}

/** Since when this server is the one that answers. */
export function markerKey(prefix: string): string {
  return `${prefix}:server`
}

/** The part of a key that decides its slot in a Cluster. */
export function hashTag(key: string): string {
  const open = key.indexOf('{')
  const close = key.indexOf('}', open + 1)
  return open >= 0 && close > open + 1 ? key.slice(open + 1, close) : key
}

/** The fence record of a resource, in the slot of the keys that carry the resource's name or hash tag. */
export function fenceKey(prefix: string, resource: string): string {
  return `${prefix}:fence:{${hashTag(resource)}}:${resource}`
}
