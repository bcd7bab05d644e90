import type { PoolClient } from 'pg'
import { InvalidArgumentError } from '../errors.ts'

/** What pg calls of a query or cursor that was made by the caller, also where it cannot be sent. */
interface Submitted {
  callback?: unknown
  submit(connection: unknown): void
  handleError?(error: Error): void
}

/**
 * A client of a pool that sends nothing any more once it has `ended`: its connection may be another's by then. What is sent then is
 * refused as pg refuses it on a client that was closed: by the promise, the callback or the query itself.
 *
 * Everything else of it is the client's, but for what is put in the place of a method that is kept back: that ends with it.
 */
export function endingClient(client: PoolClient, ended: () => Error | undefined): PoolClient {
  const send = client.query.bind(client) as (...given: readonly unknown[]) => unknown
  const own: Record<PropertyKey, unknown> = {
    query: (...given: readonly unknown[]): unknown => {
      const why = ended()
      return why === undefined ? send(...given) : refused(why, given)
    },
    release: () => refuseToLetGo('release'),
    end: () => refuseToLetGo('end'),
  }
  const placeOf = (target: PoolClient, key: PropertyKey): object => (Object.hasOwn(own, key) ? own : target)
  return new Proxy(client, {
    get: (target, key) => Reflect.get(placeOf(target, key), key) as unknown,
    set: (target, key, value) => Reflect.set(placeOf(target, key), key, value),
  })
}

function refused(why: Error, [query, values, callback]: readonly unknown[]): unknown {
  const submitted = isSubmitted(query) ? query : undefined
  const own = typeof query === 'object' && query !== null && 'callback' in query ? query.callback : undefined
  const told = (submitted === undefined ? [callback, values, own] : [own, values, callback]).find(isCallback)
  if (submitted?.handleError === undefined) {
    if (told === undefined) return Promise.reject(why)
    process.nextTick(told, why)
    return undefined
  }
  if (told !== undefined) submitted.callback = told
  process.nextTick(() => submitted.handleError?.(why))
  return submitted
}

function isCallback(value: unknown): value is (error: Error) => void {
  return typeof value === 'function'
}

function isSubmitted(query: unknown): query is Submitted {
  return typeof query === 'object' && query !== null && 'submit' in query && typeof query.submit === 'function'
}

// The pool would hand the connection to others in the middle of the transaction, or, later, take it from one who has it.
function refuseToLetGo(method: string): never {
  throw new InvalidArgumentError(
    'tx',
    `The connection of fence.run is given back by itself: leave out \`tx.${method}()\`.`,
  )
}
