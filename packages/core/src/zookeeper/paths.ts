import { InvalidArgumentError } from '../errors.ts'
import { show } from '../names.ts'
import { isNodePath } from './connect-string.ts'

// Names as most are: one step, nothing to encode.
const PLAIN_NAME = /^(?!zookeeper$)[A-Za-z0-9_:-]+$/
const TEN_DIGITS = /\d{10}$/
// What ZooKeeper takes in no path: characters beyond the basic plane, private ones, and the specials at its end.
const UNPRINTABLE = /[%\u{10000}-\u{10ffff}\ue000-\uf8ff\ufff0-\uffff]/gu
// A slash that would leave an empty step: at the front, at the end, or behind another.
const EMPTY_STEP = /^\/+|\/+$|(?<=\/)\/+/g
const RELATIVE_STEP = /(?<=^|\/)\.\.?(?=\/|$)/g
// ZooKeeper's own subtree.
const RESERVED_STEP = /^zookeeper(?=\/|$)/
// The last digit of a step that would pass for somebody who waits for the lock above it.
const CONTENDER_STEP = /(?<=(?:lock-|lock__|lease-|latch-|__READ__|__WRIT__)-?\d{9})\d(?=\/|$)/g

/**
 * The path of a lock below its root: a `/` in a name is a step. What ZooKeeper reserves is percent-encoded, and `%` itself, so
 * `decodeURIComponent` gives the name back and no two names share a path.
 */
export function encodeName(name: string): string {
  if (PLAIN_NAME.test(name) && !TEN_DIGITS.test(name)) return name
  return name
    .replace(UNPRINTABLE, char => encodeURIComponent(char))
    .replace(EMPTY_STEP, slashes => '%2F'.repeat(slashes.length))
    .replace(RELATIVE_STEP, dots => '%2E'.repeat(dots.length))
    .replace(RESERVED_STEP, '%7Aookeeper')
    .replace(CONTENDER_STEP, digit => `%3${digit}`)
}

/** A name as one step, for directories that are flat. */
function encodeStep(name: string): string {
  return encodeName(name).replaceAll('/', '%2F')
}

/** Where a backend keeps things. No name of a lock encodes to a step that starts with `%s`, `%g` or `%r`. */
export interface Layout {
  /** Chroot and root. Empty or without a slash at its end. */
  readonly base: string
}

/** The node of a directory of records; no name of a record or lock encodes to a step with a small letter behind `%`. */
export function recordDirectory(layout: Layout, directory: string): string {
  return `${layout.base}/%records/${encodeStep(directory)}`
}

/** The node of a record, below its directory's. */
export function recordPath(directoryPath: string, id: string): string {
  return `${directoryPath}/${encodeStep(id)}`
}

/** The record that a child of a directory stands for; undefined for a node of the directory's own. */
export function recordIdOf(step: string): string | undefined {
  return /^%[a-z]/.test(step) ? undefined : decodeURIComponent(step)
}

/** Stands while a commit is the last one of its directory; in one without any, the history. */
export function markPath(directoryPath: string, commit: string): string {
  return `${directoryPath}/%at-${encodeStep(commit)}`
}

/** The node above a directory's ephemeral records. */
export function ephemeralsPath(directoryPath: string): string {
  return `${directoryPath}/%ephemerals`
}

/** The step of an ephemeral record: its owner stands in it, so that who was replaced can only touch what is gone. */
export function ephemeralStep({ id, owner }: { readonly id: string; readonly owner: string }): string {
  return `${encodeStep(id)}~${encodeStep(owner).replaceAll('~', '%7E')}`
}

/** The id and owner that such a step stands for. */
export function ephemeralOf(step: string): { readonly id: string; readonly owner: string } {
  const at = step.lastIndexOf('~')
  return { id: decodeURIComponent(step.slice(0, at)), owner: decodeURIComponent(step.slice(at + 1)) }
}

/** The node whose children contend for a resource. */
export function lockDirectory(layout: Layout, resource: string): string {
  return `${layout.base}/${encodeName(resource)}`
}

export function heartbeatPath(layout: Layout, id: string): string {
  return `${layout.base}/%sessions/${id}`
}

export function fencePath(layout: Layout, resource: string): string {
  return `${layout.base}/%guards/${encodeStep(resource)}`
}

/**
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` when `root` is no path of a node.
 */
export function checkRoot(root: unknown): asserts root is string {
  if (root === '/' || (isNodePath(root) && !/^\/zookeeper(\/|$)/.test(root))) return
  throw new InvalidArgumentError(
    'root',
    `Expected \`root\` to be a path like /holdfast, without empty or relative steps and outside of /zookeeper, got ${show(root)}.`,
  )
}
