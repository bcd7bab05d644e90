import { InvalidArgumentError, reportListenerError, show } from '@holdfast/core'
import type { IBasePolicyOptions } from 'cockatiel'
import { isRejection } from './errors.ts'

/** What counts as a failure: a function of the error, or a filter of cockatiel (`handleType(…).orWhenResult(…)`). */
export type FailureFilter = ((error: unknown) => boolean) | { readonly options: Readonly<IBasePolicyOptions> }

// cockatiel 3 says `Error` where 4 says `unknown`.
interface Predicates {
  readonly errorFilter: (error: unknown) => boolean
  readonly resultFilter: (result: unknown) => boolean
}

/** A `FailureFilter`, ready for use: neither throws. */
export interface Filter {
  isFailure(error: unknown): boolean
  isFailedResult(value: unknown): boolean
}

/** Every error is a failure, but for refusals of policies: those say nothing about what is called. */
const EVERY_ERROR: Filter = { isFailure: error => !isRejection(error), isFailedResult: () => false }

/**
 * A filter from what a user gave. A function of his that throws is reported, and its answer is `true`.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function filterOf(handle: FailureFilter | undefined): Filter {
  if (handle === undefined) return EVERY_ERROR
  if (typeof handle === 'function' && !isErrorClass(handle))
    return { isFailure: safely(handle), isFailedResult: () => false }
  const options = (handle as { readonly options?: Partial<Predicates> } | null)?.options
  if (typeof options?.errorFilter !== 'function' || typeof options.resultFilter !== 'function') {
    throw new InvalidArgumentError(
      'handle',
      `Expected \`handle\` to be a function or a filter of cockatiel, got ${shown(handle)}.`,
    )
  }
  return { isFailure: safely(options.errorFilter), isFailedResult: safely(options.resultFilter) }
}

function shown(handle: object): string {
  if (!isErrorClass(handle)) return show(handle)
  const { name } = handle as { readonly name: string }
  return `the class ${name}: write error => error instanceof ${name}`
}

// A class called as a function throws each time: it is taken for a mistake, not for a filter.
function isErrorClass(handle: object): boolean {
  const { prototype } = handle as { readonly prototype?: unknown }
  return handle === Error || prototype instanceof Error
}

function safely(filter: (value: unknown) => boolean): (value: unknown) => boolean {
  return value => {
    try {
      return filter(value) === true
    } catch (error) {
      reportListenerError('resilience.filter', error)
      return true
    }
  }
}
