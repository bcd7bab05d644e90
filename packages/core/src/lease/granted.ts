import { UnsupportedError } from '../errors.ts'
import type { FencingToken } from '../fencing/token.ts'
import type { Picture } from '../inspected.ts'
import type { Grant } from '../ports/leases.ts'

/** @throws {UnsupportedError} `HF_UNSUPPORTED` when nothing may be fenced by it */
export function fencingTokenOf({ token, isUnfenced, request }: Grant): FencingToken {
  if (isUnfenced !== true) return token
  throw new UnsupportedError(
    `The lease on "${request.resource}" has no fencing token, so no guard can stand on it: its backend was made with \`fencing: false\`.`,
  )
}

/** What the token of a grant fences: of a permit, that is its slot. */
export function resourceOf({ request: { resource }, slot }: Grant): string {
  return slot === undefined ? resource : `${resource}#${slot}`
}

/** What people are shown of it. Not what it was asked for with: who knows the id of a request can give its grant back. */
export function grantPicture(grant: Grant): Picture {
  return {
    resource: resourceOf(grant),
    mode: grant.request.mode?.kind ?? 'exclusive',
    token: grant.isUnfenced === true ? undefined : grant.token.toString(),
  }
}
