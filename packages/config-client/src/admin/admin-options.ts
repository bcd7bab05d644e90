import { userInfo } from 'node:os'
import type { Backend } from '@holdfast/core'
import { InvalidArgumentError, checkGivenKeys, checkKeys, checkName, checkSignal, show } from '@holdfast/core'
import type { Namespace } from '../namespace/namespace.ts'
import type { Template } from '../namespace/template.ts'
import { appOfLayer } from '../namespace/template.ts'
import type { SecretKeys } from '../release/encryption.ts'
import { checkSecretKeys } from '../release/encryption.ts'
import type { Scope } from '../release/scope.ts'
import { checkScope } from '../release/scope.ts'
import type { SigningKey } from '../release/signature.ts'
import type { AuthorizationRequest } from './admin.ts'

/** How a `ConfigAdmin` is opened. */
export interface ConfigAdminOptions extends Scope {
  /** Where the configuration is kept, with credentials that may write it. It is not closed with the admin. */
  readonly backend: Backend
  /** What is published in these is checked by their schemas; others can be edited by hand-made edits, unchecked. @default [] */
  readonly namespaces?: readonly Namespace<unknown, never>[]
  /** For the scope of a layer, `@infrastructure` or `@platform`: what its options must be. @default [] */
  readonly templates?: readonly Template[]
  /** Who publishes, where a publish does not say. @default the user that the process runs as */
  readonly author?: string
  /** Signs every release with this Ed25519 key. @default none */
  readonly signWith?: SigningKey
  /** For reading and keeping secrets. @default {} */
  readonly secretKeys?: SecretKeys
  /** The id of the one of `secretKeys` that new secrets are encrypted with. @default none: plain secrets are refused */
  readonly encryptWith?: string
  /**
   * Asked before each write, and again when another has published meanwhile: false, or a reason, refuses it with `ForbiddenError`,
   * and nothing is written.
   *
   * @default yes to all
   */
  readonly authorize?: (request: AuthorizationRequest) => boolean | string | Promise<boolean | string>
  /** How many releases the history keeps, 1 to 4,000. @default 200 */
  readonly historyMax?: number
  /** Closes the admin when it aborts. */
  readonly signal?: AbortSignal
}

/** The options with their defaults. */
export interface CheckedAdminOptions {
  readonly backend: Backend
  readonly scope: Scope
  readonly namespaces: ReadonlyMap<string, Namespace>
  readonly templates: ReadonlyMap<string, Template>
  readonly author: string
  readonly signWith: SigningKey | undefined
  readonly secretKeys: SecretKeys
  readonly encryptWith: string | undefined
  readonly authorize: ConfigAdminOptions['authorize']
  readonly historyMax: number
  readonly signal: AbortSignal | undefined
}

const HISTORY_MAX_DEFAULT = 200
const HISTORY_MAX_MAX = 4_000
const KNOWN: ReadonlySet<string> = new Set([
  'backend',
  'app',
  'env',
  'namespaces',
  'templates',
  'author',
  'signWith',
  'secretKeys',
  'encryptWith',
  'authorize',
  'historyMax',
  'signal',
])

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkedAdminOptions(options: ConfigAdminOptions): CheckedAdminOptions {
  checkGivenKeys('openConfigAdmin', options, KNOWN)
  const { backend, app, env, secretKeys = {}, encryptWith, authorize, signal } = options
  if (typeof backend?.records?.commit !== 'function') {
    throw refused('backend', 'a Backend (memoryBackend(), redisBackend(), …)', backend)
  }
  checkScope({ app, env })
  checkSecretKeys('secretKeys', secretKeys)
  if (encryptWith !== undefined && !Object.hasOwn(secretKeys, encryptWith)) {
    throw refused('encryptWith', 'the id of one of the `secretKeys`', encryptWith)
  }
  if (authorize !== undefined && typeof authorize !== 'function') throw refused('authorize', 'a function', authorize)
  checkSignal(signal)
  const { author = userName(), historyMax = HISTORY_MAX_DEFAULT, signWith } = options
  checkName('author', author)
  if (!Number.isInteger(historyMax) || historyMax < 1 || historyMax > HISTORY_MAX_MAX) {
    throw refused('historyMax', `an integer from 1 to ${HISTORY_MAX_MAX}`, historyMax)
  }
  checkSigningKey(signWith)
  const namespaces = byName('namespaces', options.namespaces as readonly Namespace[] | undefined, isNamespace)
  const templates = byName('templates', options.templates, template => isTemplateOf(template, app))
  const scope = Object.freeze({ app, env })
  const keys = { signWith, secretKeys, encryptWith }
  return { backend, scope, namespaces, templates, author, ...keys, authorize, historyMax, signal }
}

function checkSigningKey(signWith: unknown): asserts signWith is SigningKey | undefined {
  if (signWith === undefined) return
  checkKeys('signWith', signWith, new Set(['keyId', 'privateKey']))
  const { keyId, privateKey } = signWith as Partial<SigningKey>
  checkName('signWith.keyId', keyId)
  if (privateKey === undefined) throw refused('signWith.privateKey', 'an Ed25519 private key', privateKey)
}

function byName<T extends { readonly name: string }>(
  argument: string,
  list: readonly T[] = [],
  isOne: (item: T) => boolean,
): ReadonlyMap<string, T> {
  if (!Array.isArray(list)) throw refused(argument, 'a list', list)
  const found = new Map<string, T>()
  for (const item of list as readonly T[]) {
    if (!isOne(item))
      throw refused(
        argument,
        `made by define${argument === 'templates' ? 'Template, for this layer' : 'Namespace'}`,
        item,
      )
    if (found.has(item.name)) throw refused(argument, 'of different names', item.name)
    found.set(item.name, item)
  }
  return found
}

function isNamespace(namespace: Namespace): boolean {
  return typeof namespace?.name === 'string' && typeof namespace.patch === 'function'
}

function isTemplateOf(template: Template, app: string): boolean {
  return typeof template?.offer === 'function' && appOfLayer(template.layer) === app
}

// A user without a name, as in many a container, is known by his number.
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return `user ${process.getuid?.() ?? 'unknown'}`
  }
}

function refused(argument: string, expected: string, seen: unknown): InvalidArgumentError {
  return new InvalidArgumentError(argument, `Expected \`${argument}\` to be ${expected}, got ${show(seen)}.`)
}
