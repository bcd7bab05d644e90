import type { ReleaseName, Scope } from '@holdfast/config-client'
import { Secret } from '@holdfast/config-client'

/** A release on its way out of this process. */
export interface Delivered {
  readonly release: ReleaseName
  /** The one that was delivered before. */
  readonly previous: ReleaseName | undefined
  /** Values by namespace, as a service would read them: with defaults, and secrets wrapped. */
  readonly content: Readonly<Record<string, unknown>>
}

/** Brings releases to something outside: a script, files. */
export interface Delivery {
  /** How long one delivery may take, with everything that undoes it, in milliseconds. */
  readonly limitMs: number
  /** Rejects when it is refused; by then everything is as it was. */
  readonly deliver: (delivered: Delivered) => Promise<void>
}

/** What scripts get to know of a release by their environment. */
export function environmentOf({ release, previous }: Delivered, { app, env }: Scope): Readonly<Record<string, string>> {
  return {
    HF_REVISION: String(release.number),
    HF_PREVIOUS_REVISION: previous === undefined ? '' : String(previous.number),
    HF_HASH: release.hash,
    HF_APP: app,
    HF_ENV: env,
  }
}

/** The content as JSON; a secret is `[secret]` unless it is to be revealed, and always where nobody said that the field is one. */
export function contentJson(content: Delivered['content'], { isRevealing }: { readonly isRevealing: boolean }): string {
  // A secret hides itself before a replacer sees it, so the replacer asks its holder.
  return JSON.stringify(content, function (this: unknown, key: string, value: unknown) {
    const held = (this as Readonly<Record<string, unknown>>)[key]
    if (isEncrypted(held)) return '[secret]'
    return isRevealing && held instanceof Secret ? (held as Secret<unknown>).reveal() : value
  })
}

function isEncrypted(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, '$secret')
}
