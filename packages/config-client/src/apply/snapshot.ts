import { InvalidArgumentError, show } from '@holdfast/core'
import type { ConfigSnapshot, PendingRestart } from '../client/config.ts'
import type { ConfigSource } from '../client/report.ts'
import type { Namespace } from '../namespace/namespace.ts'
import type { ReleaseName } from '../release/release.ts'
import type { ResolvedNamespace } from '../resolve/resolve.ts'

/** What a snapshot has of one namespace. */
export interface SnapshotPart {
  readonly namespace: Namespace<unknown, never>
  readonly resolved: ResolvedNamespace<unknown>
}

/** What a snapshot is of. */
export interface SnapshotFacts {
  readonly release: ReleaseName | undefined
  readonly source: ConfigSource
  /** By name; all namespaces that the configuration was opened with. */
  readonly parts: ReadonlyMap<string, SnapshotPart>
}

/** All namespaces at one moment. */
export class Snapshot implements ConfigSnapshot {
  readonly release: ReleaseName | undefined
  readonly source: ConfigSource
  readonly #parts: ReadonlyMap<string, SnapshotPart>

  constructor({ release, source, parts }: SnapshotFacts) {
    this.release = release && Object.freeze({ number: release.number, hash: release.hash })
    this.source = source
    this.#parts = parts
    Object.freeze(this)
  }

  get<Value>(namespace: Namespace<Value, never>): Value {
    return this.part(namespace).resolved.value as Value
  }

  /** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for a namespace that the configuration was not opened with */
  part(namespace: Namespace<unknown, never>): SnapshotPart {
    const part = this.#parts.get(namespace?.name)
    if (part !== undefined && part.namespace.definition === namespace.definition) return part
    const known = [...this.#parts.keys()].map(name => show(name)).join(', ')
    const problem = part === undefined ? 'one that' : 'the very definition of it that'
    throw new InvalidArgumentError(
      'namespace',
      `Expected ${show(namespace?.name)} to be ${problem} the configuration was opened with: ${known}.`,
    )
  }

  /** The namespace's part, if the snapshot has it. */
  partOf(name: string): SnapshotPart | undefined {
    return this.#parts.get(name)
  }

  get pendingRestart(): readonly PendingRestart[] {
    const fields: PendingRestart[] = []
    for (const [namespace, { resolved }] of this.#parts) {
      for (const field of resolved.pendingRestart) fields.push({ namespace, field })
    }
    return fields
  }
}
