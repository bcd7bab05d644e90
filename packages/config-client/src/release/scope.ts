import { checkName, InvalidArgumentError, show } from '@holdfast/core'

/** Whose configuration it is: an application, or a layer below (`@infrastructure`, `@platform`), in one environment. */
export interface Scope {
  readonly app: string
  readonly env: string
}

/** Where things of a scope are kept. */
export interface ScopePlaces {
  /** The head, the candidate and the history: small, and watched. */
  readonly releases: string
  /** Contents that are too large to stand beside their release, by hash: written once, and not watched. */
  readonly contents: string
  /** Ephemeral records: what each instance has applied. */
  readonly instances: string
}

export const HEAD = 'head'
export const CANDIDATE = 'candidate'

const RELEASE = /^release-(\d{10})$/
const NAME_BYTES_MAX = 80

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkScope({ app, env }: Scope): void {
  for (const [argument, name] of [
    ['app', app],
    ['env', env],
  ] as const) {
    checkName(argument, name)
    if (/[:/]/.test(name) || name.length > NAME_BYTES_MAX) {
      throw new InvalidArgumentError(
        argument,
        `Expected \`${argument}\` to have at most ${NAME_BYTES_MAX} characters and neither a colon nor a slash, got ${show(name)}.`,
      )
    }
  }
}

export function placesOf({ app, env }: Scope): ScopePlaces {
  const scope = `${app}:${env}`
  return { releases: `config:${scope}`, contents: `config-contents:${scope}`, instances: `config-instances:${scope}` }
}

/** The id of a release's record. */
export function releaseId(number: number): string {
  return `release-${String(number).padStart(10, '0')}`
}

/** The number of the release that a record is of; undefined for other records. */
export function releaseNumberOf(id: string): number | undefined {
  const digits = RELEASE.exec(id)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/** The id of the record that remembers what a request led to. */
export function requestRecordId(requestId: string): string {
  return `request-${requestId}`
}
