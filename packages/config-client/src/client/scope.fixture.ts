import type { Backend } from '@holdfast/core'
import { CANDIDATE, HEAD, placesOf, releaseId } from '../release/scope.ts'
import { INLINE_BYTES_MAX, contentHash, encodeCandidate, encodeContent, encodeRelease } from '../release/codec.ts'
import type { JsonObject } from '../release/json.ts'
import type { Release, ReleaseContent, RolloutRule } from '../release/release.ts'
import type { Scope } from '../release/scope.ts'
import type { SigningKey } from '../release/signature.ts'
import { signRelease } from '../release/signature.ts'

/** Writes releases of a scope straight into a store, for tests of who reads them. */
export class ScopeFixture {
  readonly backend: Backend
  readonly scope: Scope
  signingKey: SigningKey | undefined
  #number = 0

  constructor(backend: Backend, scope: Scope) {
    this.backend = backend
    this.scope = scope
  }

  /** Makes it the head; the number goes up by one unless given. */
  async publish(namespaces: Readonly<Record<string, JsonObject>>, number: number = this.#number + 1): Promise<Release> {
    const { release, content, inline } = this.release(namespaces, number)
    await this.#putContent(content, inline)
    const value = encodeRelease(this.scope, { release, content: inline })
    await this.commit([
      { kind: 'put', id: HEAD, value },
      { kind: 'put', id: releaseId(release.number), value },
    ])
    return release
  }

  /** Puts a candidate beside the head. */
  async offer(namespaces: Readonly<Record<string, JsonObject>>, rule: RolloutRule): Promise<Release> {
    const { release, content, inline } = this.release(namespaces, this.#number + 1)
    await this.#putContent(content, inline)
    const value = encodeCandidate(this.scope, { release, content: inline, rule, step: 0, steps: [rule] })
    await this.commit([{ kind: 'put', id: CANDIDATE, value }])
    return release
  }

  async withdraw(): Promise<void> {
    await this.commit([{ kind: 'delete', id: CANDIDATE }])
  }

  async commit(changes: Parameters<Backend['records']['commit']>[0]['changes']): Promise<void> {
    const { records } = this.backend
    const directory = placesOf(this.scope).releases
    const outcome = await records.commit({ directory, commitId: records.newId(), changes })
    if (outcome.kind !== 'committed') throw new Error(`It was not committed: ${outcome.kind}.`)
  }

  release(
    namespaces: Readonly<Record<string, JsonObject>>,
    number: number,
  ): { release: Release; content: ReleaseContent; inline: ReleaseContent | undefined } {
    this.#number = number
    const content: ReleaseContent = { namespaces, options: {} }
    const unsigned: Release = {
      number,
      hash: contentHash(content),
      parent: undefined,
      kind: 'publish',
      rolledBackTo: undefined,
      author: 'tests',
      message: '',
      requestId: `request-${number}`,
      publishedAtMs: this.backend.clock.wallMs(),
      signature: undefined,
    }
    const { scope, signingKey } = this
    const signature = signingKey && signRelease(unsigned, { scope, ...signingKey })
    const inline = encodeContent(content).length > INLINE_BYTES_MAX ? undefined : content
    return { release: { ...unsigned, signature }, content, inline }
  }

  async #putContent(content: ReleaseContent, inline: ReleaseContent | undefined): Promise<void> {
    if (inline !== undefined) return
    const { records } = this.backend
    const change = { kind: 'put' as const, id: contentHash(content), value: encodeContent(content) }
    await records.commit({ directory: placesOf(this.scope).contents, commitId: records.newId(), changes: [change] })
  }
}
