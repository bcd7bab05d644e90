import { isRejection, isTimeout } from '../errors.ts'

/** Whether a callee says that it has too much to do: a refusal or a timeout of a policy, or status 429 or 503. */
export function isRefusalOfCallee(outcome: unknown): boolean {
  if (typeof outcome !== 'object' || outcome === null) return false
  if (isRejection(outcome) || isTimeout(outcome)) return true
  const { status, statusCode } = outcome as { readonly status?: unknown; readonly statusCode?: unknown }
  const said = status ?? statusCode
  return said === 429 || said === 503
}
