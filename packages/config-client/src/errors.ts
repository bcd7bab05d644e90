import { HoldfastError } from '@holdfast/core'

/** What is wrong with a value, and where. */
export interface ConfigIssue {
  readonly namespace: string
  /** Keys from the namespace's root to the value; empty for the namespace itself. */
  readonly path: readonly string[]
  readonly message: string
}

/** Values that their schema, an invariant, a naming rule or a limit does not allow. Nothing was written or applied. */
export class InvalidConfigError extends HoldfastError {
  override readonly name = 'InvalidConfigError'
  readonly issues: readonly ConfigIssue[]

  constructor(what: string, issues: readonly ConfigIssue[], options?: ErrorOptions) {
    super('HF_INVALID_CONFIG', `${what}: ${issues.map(describeIssue).join('; ')}.`, options)
    this.issues = issues
  }
}

/** There is no configuration to start with: neither the store nor a fallback has one. */
export class NoConfigError extends HoldfastError {
  override readonly name = 'NoConfigError'

  constructor(message: string, options?: ErrorOptions) {
    super('HF_NO_CONFIG', message, options)
  }
}

/** A release whose content, hash or signature is not what it should be. It was not applied. */
export class UntrustedReleaseError extends HoldfastError {
  override readonly name = 'UntrustedReleaseError'

  constructor(message: string, options?: ErrorOptions) {
    super('HF_UNTRUSTED', message, options)
  }
}

/** The authorisation hook said no. Nothing was written. */
export class ForbiddenError extends HoldfastError {
  override readonly name = 'ForbiddenError'

  constructor(message: string, options?: ErrorOptions) {
    super('HF_FORBIDDEN', message, options)
  }
}

/** `checkout.timeoutMs: expected a number` */
export function describeIssue({ namespace, path, message }: ConfigIssue): string {
  return `${[namespace, ...path].join('.')}: ${message.replace(/\.$/, '')}`
}

/** The words of whatever was thrown. Never throws itself, whatever that was. */
export function messageOf(error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error)
  } catch {
    return 'something that has no words'
  }
}
