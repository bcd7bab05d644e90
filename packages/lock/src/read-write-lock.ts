import type { AcquireOptions, DowngradeOptions, Lease } from '@holdfast/core'
import { InvalidArgumentError, downgradeLease, inspectAs, show } from '@holdfast/core'
import type { Lockable } from './lockable.ts'
import type { NamedLockParts } from './named-lock.ts'
import { NamedLock, optionsOver } from './named-lock.ts'
import { rootWishOf } from './scope.ts'

/**
 * Many read, or one writes. All who wait are served in order of asking: a reader that comes after a waiting writer waits behind it, so
 * writers are not starved, and readers next to each other get their turn together.
 *
 * Inside of `write` the caller may ask for either (`within`, `reentrant`): it nests, with the same token. Inside of `read` it may ask
 * for `read` again; asking for `write` there is refused with `HF_INVALID_ARGUMENT`, since it would wait for itself.
 */
export interface ReadWriteLock {
  /** Held beside other readers. Its token is that of the last writer, so what was read is stale once another has written. */
  readonly read: Lockable
  /** Held alone. */
  readonly write: Lockable
  /**
   * Makes a lease of `write` one of `read`, with the same token and nobody writing in between; readers that wait right behind it get
   * their turn with it. `lease` counts as released from the call on, and what was nested in it ends. While the backend does not answer
   * it is tried again, until the time of `lease` is over.
   *
   * @param options how it is held from now on; `ttlMs` is that of `lease` when it is left out
   * @throws {LeaseLostError} `HF_LEASE_LOST` when it was not held any more
   * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for another lock's lease, for one that is nested, for one of `read`
   * @throws {UnavailableError} `HF_UNAVAILABLE` when the backend did not answer in time: it holds neither
   * @throws {StaleTokenError} `HF_STALE_TOKEN` when the guard had already seen a newer token
   */
  downgrade(lease: Lease, options?: DowngradeOptions): Promise<Lease>
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when the name is none. */
export function readWriteLock(parts: Omit<NamedLockParts, 'mode'>): ReadWriteLock {
  const { backend, name, defaults } = parts
  const lock: ReadWriteLock = {
    read: new NamedLock({ ...parts, mode: { kind: 'read' } }),
    write: new NamedLock({ ...parts, mode: { kind: 'write' } }),
    downgrade: async (lease, options = {}) => {
      checkOn(name, lease)
      return await downgradeLease(backend, lease, optionsOver(heldAs(defaults), options))
    },
  }
  inspectAs(lock, 'ReadWriteLock', () => ({ name, backend: backend.kind }))
  return lock
}

function checkOn(name: string, lease: Lease): void {
  const wish = typeof lease === 'object' && lease !== null ? rootWishOf(lease) : undefined
  if (wish === undefined || wish.resource === name) return
  throw new InvalidArgumentError(
    'lease',
    `Expected \`lease\` to be one of ${show(name)}, got one of ${show(wish.resource)}.`,
  )
}

// What is about the time before the grant, and after its end, was the writer's.
function heldAs({ renew, holdMsMax, meta }: AcquireOptions): AcquireOptions {
  return {
    ...(renew === undefined ? {} : { renew }),
    ...(holdMsMax === undefined ? {} : { holdMsMax }),
    ...(meta === undefined ? {} : { meta }),
  }
}
