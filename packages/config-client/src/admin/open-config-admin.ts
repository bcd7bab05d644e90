import type { ConfigAdminOptions } from './admin-options.ts'
import { checkedAdminOptions } from './admin-options.ts'
import type { ConfigAdmin } from './admin.ts'
import { ScopeAdmin } from './scope-admin.ts'

/**
 * Opens the publisher's side of a scope's configuration. It is there at once, and without I/O: the first call connects.
 *
 * @example
 * const admin = openConfigAdmin({ backend, app: 'shop', env: 'prod', namespaces: [checkout] })
 * const deployment = await admin.publish([checkout.patch({ timeoutMs: 800 })], { message: 'slow bank' })
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function openConfigAdmin(options: ConfigAdminOptions): ConfigAdmin {
  return new ScopeAdmin(checkedAdminOptions(options))
}
