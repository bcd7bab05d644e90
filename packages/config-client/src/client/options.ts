import { hostname } from 'node:os'
import type { Backend, DurationRange } from '@holdfast/core'
import {
  InvalidArgumentError,
  WAIT_MS,
  checkBoolean,
  checkDurationMs,
  checkGivenKeys,
  checkKeys,
  checkName,
  checkSignal,
  randomId,
  show,
  systemRandom,
} from '@holdfast/core'
import type { Namespace, Override } from '../namespace/namespace.ts'
import type { SecretKeys } from '../release/encryption.ts'
import { checkSecretKeys } from '../release/encryption.ts'
import type { JsonObject } from '../release/json.ts'
import type { Scope } from '../release/scope.ts'
import { checkScope } from '../release/scope.ts'
import type { TrustedKeys } from '../release/signature.ts'
import { checkTrustedKeys } from '../release/signature.ts'
import type { CrashLoopLimits } from './crash-brake.ts'
import type { InstanceReport } from './report.ts'

/** What a start may use when the store has nothing to start with. */
export type StartFallback = 'last-known-good' | 'defaults'

/** Which configuration to open, and how to live with a store that fails. */
export interface ConfigOptions {
  readonly backend: Backend
  readonly app: string
  readonly env: string
  /** At least one; no two of a name. */
  readonly namespaces: readonly Namespace<unknown, never>[]
  /** Who this is, for reports and for rollouts in steps. */
  readonly instance?: InstanceOptions
  /** Made by `namespace.override(…)`; they stand above every release. @default [] */
  readonly overrides?: readonly Override[]
  /** Where the last-known-good file is kept, and the count of starts. @default none is kept */
  readonly snapshotDir?: string
  readonly startup?: StartupOptions
  /** With every notice lost a release is seen within so long, in milliseconds, 50 to 3,600,000. @default 30000 */
  readonly reconcileMs?: number
  /** How long a store that went back is not followed, in milliseconds. With `trust` it has no effect. @default 2 * reconcileMs */
  readonly regressionHoldMs?: number
  /** From which age on `status().isStale` is true, in milliseconds; above `reconcileMs`. @default never */
  readonly staleAfterMs?: number
  /** How long one call of a participant may take, in milliseconds. @default 10000 */
  readonly applyTimeoutMs?: number
  /** How many instances of the application may be changing at one moment, 1 to 1,000. @default any number */
  readonly maxConcurrentApplies?: number
  /** Ed25519 public keys by id: a release that none of them signed is refused. @default releases need no signature */
  readonly trust?: TrustedKeys
  /** What secrets are decrypted with, 32 bytes each, by id. @default none */
  readonly secretKeys?: SecretKeys
  /** Whether publishers see what this instance runs on. @default true */
  readonly report?: boolean
  /** How many starts may die on a release before it is not tried any more; needs `snapshotDir`. @default { starts: 3, withinMs: 60000 } */
  readonly crashLoop?: Partial<CrashLoopLimits> | false
  /** Ends the opening; once it is open it has no effect. */
  readonly signal?: AbortSignal
}

/** Who an instance is. */
export interface InstanceOptions {
  /** Its own, among all that live. @default a random one */
  readonly id?: string
  /** What its share of a percentage goes by: the same after a restart. @default the host's name */
  readonly slot?: string
  /** What a rollout can choose it by. @default {} */
  readonly labels?: Readonly<Record<string, string>>
}

/** How to start without the store. */
export interface StartupOptions {
  /** How long the store may take to answer, in milliseconds. @default 5000 */
  readonly timeoutMs?: number
  /**
   * What to try then, in this order; with `[]` it fails. Without 'last-known-good' a start does not read that file, and so cannot tell a
   * store that went back since.
   *
   * @default ['last-known-good']
   */
  readonly fallback?: readonly StartFallback[]
}

/** The options, checked, with what was left out. */
export interface CheckedOptions {
  readonly backend: Backend
  readonly scope: Scope
  readonly namespaces: readonly Namespace<unknown, never>[]
  readonly instance: Pick<InstanceReport, 'id' | 'slot' | 'labels'>
  readonly overrides: ReadonlyMap<string, JsonObject>
  readonly snapshotDir: string | undefined
  readonly startup: Required<StartupOptions>
  readonly reconcileMs: number
  readonly regressionHoldMs: number
  readonly staleAfterMs: number | undefined
  readonly applyTimeoutMs: number
  readonly maxConcurrentApplies: number | undefined
  readonly trust: TrustedKeys | undefined
  readonly secretKeys: SecretKeys | undefined
  readonly report: boolean
  readonly crashLoop: CrashLoopLimits | undefined
  readonly signal: AbortSignal | undefined
}

const DEFAULTS = Object.freeze({ timeoutMs: 5_000, reconcileMs: 30_000, applyTimeoutMs: 10_000 })
const FALLBACK_DEFAULT: readonly StartFallback[] = Object.freeze(['last-known-good'] as const)
const CRASH_LOOP_DEFAULT: CrashLoopLimits = Object.freeze({ starts: 3, withinMs: 60_000 })
const RECONCILE_MS: DurationRange = { min: 50, max: 3_600_000 }
const POSITIVE_MS: DurationRange = { min: 1, max: WAIT_MS.max }
const CONCURRENT_MAX = 1_000
const STARTS_MAX = 100
const FALLBACKS: ReadonlySet<unknown> = new Set(['last-known-good', 'defaults'])
const KNOWN: ReadonlySet<string> = new Set([
  'backend',
  'app',
  'env',
  'namespaces',
  'instance',
  'overrides',
  'snapshotDir',
  'startup',
  'reconcileMs',
  'regressionHoldMs',
  'staleAfterMs',
  'applyTimeoutMs',
  'maxConcurrentApplies',
  'trust',
  'secretKeys',
  'report',
  'crashLoop',
  'signal',
])

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkConfigOptions(options: ConfigOptions): CheckedOptions {
  checkGivenKeys('openConfig', options, KNOWN)
  const { backend, app, env, namespaces, snapshotDir, trust, secretKeys, report, signal } = options
  if (typeof backend?.records?.read !== 'function') {
    throw new InvalidArgumentError('backend', `Expected \`backend\` to be a backend, got ${show(backend)}.`)
  }
  checkScope({ app, env })
  checkNamespaces(namespaces)
  if (snapshotDir !== undefined && (typeof snapshotDir !== 'string' || snapshotDir === '')) {
    throw new InvalidArgumentError('snapshotDir', `Expected \`snapshotDir\` to be a path, got ${show(snapshotDir)}.`)
  }
  if (trust !== undefined) checkTrustedKeys(trust)
  if (secretKeys !== undefined) checkSecretKeys('secretKeys', secretKeys)
  checkBoolean('report', report)
  checkSignal(signal)
  return {
    backend,
    scope: { app, env },
    namespaces: [...namespaces],
    instance: checkedInstance(options.instance),
    overrides: checkedOverrides(options),
    snapshotDir,
    startup: checkedStartup(options.startup),
    ...checkedDurations(options),
    maxConcurrentApplies: options.maxConcurrentApplies,
    trust,
    secretKeys,
    report: report ?? true,
    crashLoop: checkedCrashLoop(options.crashLoop),
    signal,
  }
}

function checkNamespaces(namespaces: unknown): void {
  const isList = Array.isArray(namespaces) && namespaces.length > 0
  const names = isList ? (namespaces as readonly Partial<Namespace>[]).map(namespace => namespace?.name) : []
  if (!isList || (namespaces as readonly Partial<Namespace>[]).some(each => each?.definition === undefined)) {
    throw new InvalidArgumentError(
      'namespaces',
      `Expected \`namespaces\` to be one namespace or more, made by defineNamespace, got ${show(namespaces)}.`,
    )
  }
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice === undefined) return
  throw new InvalidArgumentError(
    'namespaces',
    `Expected the names of \`namespaces\` to differ, got ${show(twice)} twice.`,
  )
}

function checkedInstance(instance: InstanceOptions = {}): CheckedOptions['instance'] {
  checkKeys('instance', instance, new Set(['id', 'slot', 'labels']))
  const { id = randomId(systemRandom), slot = hostname(), labels = {} } = instance
  checkName('instance.id', id)
  checkName('instance.slot', slot)
  checkKeys('instance.labels', labels, new Set(Object.keys(labels)))
  for (const [name, label] of Object.entries(labels)) {
    checkName('instance.labels', name)
    checkName(`instance.labels.${name}`, label)
  }
  return { id, slot, labels: { ...labels } }
}

function checkedOverrides({ overrides = [], namespaces }: ConfigOptions): ReadonlyMap<string, JsonObject> {
  const checked = new Map<string, JsonObject>()
  for (const override of listOf<Override>('overrides', overrides)) {
    const name = override?.namespace
    if (!namespaces.some(namespace => namespace.name === name) || checked.has(name)) {
      throw new InvalidArgumentError(
        'overrides',
        `Expected \`overrides\` to have at most one override for each of \`namespaces\`, made by namespace.override, got ${show(name)}.`,
      )
    }
    checked.set(name, override.value)
  }
  return checked
}

function checkedStartup(startup: StartupOptions = {}): Required<StartupOptions> {
  checkKeys('startup', startup, new Set(['timeoutMs', 'fallback']))
  const { timeoutMs = DEFAULTS.timeoutMs, fallback = FALLBACK_DEFAULT } = startup
  checkDurationMs('startup.timeoutMs', timeoutMs, POSITIVE_MS)
  const list = listOf<StartFallback>('startup.fallback', fallback)
  const unknown = list.find(each => !FALLBACKS.has(each))
  if (unknown !== undefined) {
    throw new InvalidArgumentError(
      'startup.fallback',
      `Expected \`startup.fallback\` to be a list of 'last-known-good' and 'defaults', got ${show(unknown)} in it.`,
    )
  }
  return { timeoutMs, fallback: [...list] }
}

function checkedDurations(
  options: ConfigOptions,
): Pick<CheckedOptions, 'reconcileMs' | 'regressionHoldMs' | 'staleAfterMs' | 'applyTimeoutMs'> {
  const { reconcileMs = DEFAULTS.reconcileMs, applyTimeoutMs = DEFAULTS.applyTimeoutMs, staleAfterMs } = options
  const { regressionHoldMs = 2 * reconcileMs, maxConcurrentApplies } = options
  checkDurationMs('reconcileMs', reconcileMs, RECONCILE_MS)
  checkDurationMs('regressionHoldMs', regressionHoldMs, WAIT_MS)
  checkDurationMs('applyTimeoutMs', applyTimeoutMs, POSITIVE_MS)
  if (staleAfterMs !== undefined) {
    checkDurationMs('staleAfterMs', staleAfterMs, { min: reconcileMs + 1, max: WAIT_MS.max })
  }
  if (maxConcurrentApplies !== undefined) checkCount('maxConcurrentApplies', maxConcurrentApplies, CONCURRENT_MAX)
  return { reconcileMs, regressionHoldMs, staleAfterMs, applyTimeoutMs }
}

function checkedCrashLoop(crashLoop: ConfigOptions['crashLoop']): CrashLoopLimits | undefined {
  if (crashLoop === false) return undefined
  checkKeys('crashLoop', crashLoop, new Set(['starts', 'withinMs']))
  const { starts, withinMs } = { ...CRASH_LOOP_DEFAULT, ...crashLoop }
  checkCount('crashLoop.starts', starts, STARTS_MAX)
  checkDurationMs('crashLoop.withinMs', withinMs, POSITIVE_MS)
  return { starts, withinMs }
}

function listOf<T>(argument: string, value: unknown): readonly T[] {
  if (Array.isArray(value)) return value as readonly T[]
  throw new InvalidArgumentError(argument, `Expected \`${argument}\` to be a list, got ${show(value)}.`)
}

function checkCount(argument: string, value: unknown, max: number): void {
  if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= max) return
  throw new InvalidArgumentError(
    argument,
    `Expected \`${argument}\` to be an integer from 1 to ${max}, got ${show(value)}.`,
  )
}
