import { createHash } from 'node:crypto'
import { InvalidArgumentError } from '../errors.ts'
import { show } from '../names.ts'
import { RequestWriter, textBytes } from './jute.ts'

/** Who may do what with a node: one entry of ZooKeeper's access control lists. */
export interface ZooKeeperAcl {
  /** How the id is proved: `world`, `auth`, `digest`, `ip`, or what else the server knows. */
  readonly scheme: string
  /** `anyone` for `world`, empty for `auth`; `user:<base64 of the SHA-1 of user:password>` for `digest` (see `digestAcl`). */
  readonly id: string
  /** Some of the letters of `cdrwa`: create children, delete children, read, write, administer (set the list). */
  readonly permissions: string
}

/** How a connection says who it is. */
export interface ZooKeeperAuth {
  /** `digest`, or what else the server knows. */
  readonly scheme: string
  /** For `digest` it is `user:password`. It appears in no error, event or printed object. */
  readonly id: string
}

const PERMISSIONS: Readonly<Record<string, number>> = { r: 1, w: 2, c: 4, d: 8, a: 16 }
const OPEN: readonly ZooKeeperAcl[] = [{ scheme: 'world', id: 'anyone', permissions: 'cdrwa' }]
const HEADER_BYTES = 12
const AUTH_OPCODE = 100
const AUTH_XID = -4

/** Everybody may do everything. */
export const OPEN_ACL: Uint8Array = encodeAcl(OPEN)

/**
 * What a user with a password may do: an entry for `acl`. The password is not in it, only a hash.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function digestAcl(user: string, password: string, permissions: string): ZooKeeperAcl {
  if (typeof user !== 'string' || user === '' || user.includes(':')) {
    throw new InvalidArgumentError('user', `Expected \`user\` to be a name without a colon, got ${show(user)}.`)
  }
  if (typeof password !== 'string') throw new InvalidArgumentError('password', 'Expected `password` to be a text.')
  const hash = createHash('sha1').update(`${user}:${password}`).digest('base64')
  const entry: ZooKeeperAcl = { scheme: 'digest', id: `${user}:${hash}`, permissions }
  checkEntry('permissions', entry)
  return entry
}

/**
 * Refuses what is no list of entries.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkAcl(argument: string, acl: unknown): asserts acl is readonly ZooKeeperAcl[] {
  if (!Array.isArray(acl) || acl.length === 0) {
    throw new InvalidArgumentError(argument, `Expected \`${argument}\` to be a list of entries, got ${show(acl)}.`)
  }
  for (const entry of acl as readonly unknown[]) checkEntry(argument, entry)
}

/** As requests carry it. */
export function encodeAcl(acl: readonly ZooKeeperAcl[]): Uint8Array {
  const size = acl.reduce((sum, { scheme, id }) => sum + 4 + textBytes(scheme) + textBytes(id), 4)
  const writer = new RequestWriter(0, size).int(acl.length)
  for (const { scheme, id, permissions } of acl) writer.int(bitsOf(permissions)).text(scheme).text(id)
  return writer.toBuffer().subarray(HEADER_BYTES)
}

/**
 * Refuses what are no credentials, without showing them.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function checkAuth(auth: unknown): asserts auth is ZooKeeperAuth {
  const { scheme, id } = Object(auth) as { readonly scheme?: unknown; readonly id?: unknown }
  if (typeof scheme !== 'string' || scheme === '' || typeof id !== 'string') {
    throw new InvalidArgumentError('auth', "Expected `auth` to be like { scheme: 'digest', id: 'user:password' }.")
  }
  if (scheme !== 'digest' || /^[^:]+:/.test(id)) return
  throw new InvalidArgumentError('auth', 'Expected `auth.id` of the scheme digest to be like user:password.')
}

/** The frame that a connection presents them with. */
export function encodeAuth({ scheme, id }: ZooKeeperAuth): Buffer {
  const bytes = Buffer.from(id)
  const writer = new RequestWriter(AUTH_OPCODE, 4 + textBytes(scheme) + 4 + bytes.length)
  writer.header.xid = AUTH_XID
  return writer.int(0).text(scheme).bytes(bytes).toBuffer()
}

function checkEntry(argument: string, entry: unknown): void {
  const { scheme, id, permissions } = Object(entry) as Partial<Record<keyof ZooKeeperAcl, unknown>>
  if (typeof scheme !== 'string' || scheme === '' || typeof id !== 'string') {
    throw new InvalidArgumentError(
      argument,
      `Expected \`${argument}\` to have entries like { scheme: 'world', id: 'anyone', permissions: 'r' }, got ${show(entry)}.`,
    )
  }
  if (typeof permissions === 'string' && /^[cdrwa]{1,5}$/.test(permissions)) return
  throw new InvalidArgumentError(
    argument,
    `Expected \`permissions\` to be some of the letters of cdrwa, got ${show(permissions)}.`,
  )
}

function bitsOf(permissions: string): number {
  let bits = 0
  for (const letter of permissions) bits |= PERMISSIONS[letter] ?? 0
  return bits
}
