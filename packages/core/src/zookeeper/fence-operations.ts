import { InvalidArgumentError } from '../errors.ts'
import { show } from '../names.ts'
import { isNodePath } from './connect-string.ts'
import type { Step } from './multi.ts'

/**
 * A write under a guard. Paths are those that the backend's connect string leads to (its chroot stands before them, its `root` does
 * not). Text is written as UTF-8. A `version` makes the operation fail when the node's is another; left out, any will do.
 */
export type FenceOperation =
  | { readonly kind: 'create'; readonly path: string; readonly data?: Uint8Array | string }
  | { readonly kind: 'set'; readonly path: string; readonly data: Uint8Array | string; readonly version?: number }
  | { readonly kind: 'delete'; readonly path: string; readonly version?: number }
  | { readonly kind: 'check'; readonly path: string; readonly version?: number }

// The server takes 1 MB by default, and cuts the connection for more: a retry would be cut for ever.
const BYTES_MAX = 900_000
const VERSION_MAX = 2_147_483_647
const ANY_VERSION = -1

/**
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function stepsOf(operations: readonly FenceOperation[], chroot: string): readonly Step[] {
  if (!Array.isArray(operations) || operations.length === 0) {
    throw new InvalidArgumentError(
      'operations',
      `Expected \`operations\` to be a list of at least one, got ${show(operations)}.`,
    )
  }
  const steps = (operations as readonly FenceOperation[]).map((operation, index) => stepOf(operation, index, chroot))
  const bytes = steps.reduce((sum, step) => sum + step.path.length + ('data' in step ? step.data.length : 0), 0)
  if (bytes <= BYTES_MAX) return steps
  throw new InvalidArgumentError(
    'operations',
    `Expected \`operations\` to be at most ${BYTES_MAX} bytes together, got ${bytes}.`,
  )
}

function stepOf(operation: FenceOperation, index: number, chroot: string): Step {
  const where = `operations[${index}]`
  if (typeof operation !== 'object' || operation === null) {
    throw new InvalidArgumentError(where, `Expected \`${where}\` to be { kind, path, … }, got ${show(operation)}.`)
  }
  if (!isNodePath(operation.path)) {
    throw new InvalidArgumentError(
      `${where}.path`,
      `Expected \`${where}.path\` to be like /stock/42, got ${show(operation.path)}.`,
    )
  }
  const path = chroot + operation.path
  switch (operation.kind) {
    case 'create':
      return { kind: 'create', path, data: bytesOf(operation.data ?? '', where) }
    case 'set':
      return { kind: 'set', path, data: bytesOf(operation.data, where), version: versionOf(operation.version, where) }
    case 'delete':
      return { kind: 'delete', path, version: versionOf(operation.version, where) }
    case 'check':
      return { kind: 'check', path, version: versionOf(operation.version, where) }
    default:
      return refuseKind(operation, where)
  }
}

function refuseKind(operation: { readonly kind?: unknown }, where: string): never {
  throw new InvalidArgumentError(
    `${where}.kind`,
    `Expected \`${where}.kind\` to be 'create', 'set', 'delete' or 'check', got ${show(operation.kind)}.`,
  )
}

function bytesOf(data: unknown, where: string): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data)
  if (data instanceof Uint8Array) return data
  throw new InvalidArgumentError(`${where}.data`, `Expected \`${where}.data\` to be bytes or text, got ${show(data)}.`)
}

function versionOf(version: unknown, where: string): number {
  if (version === undefined) return ANY_VERSION
  if (Number.isInteger(version) && (version as number) >= 0 && (version as number) <= VERSION_MAX)
    return version as number
  throw new InvalidArgumentError(
    `${where}.version`,
    `Expected \`${where}.version\` to be an integer from 0 to ${VERSION_MAX}, got ${show(version)}.`,
  )
}
