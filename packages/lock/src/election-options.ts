import type { AcquireOptions, Lease } from '@holdfast/core'
import {
  ACQUIRE_OPTION_NAMES,
  InvalidArgumentError,
  checkAcquireOptions,
  checkBoolean,
  checkKeys,
  checkName,
  encodeMeta,
  show,
} from '@holdfast/core'
import { checkWork } from './work.ts'

/** Who is a candidate. */
export interface ElectionOptions extends Pick<AcquireOptions, 'ttlMs' | 'meta'> {
  /** What observers know the candidate by: 1 to 200 bytes. Each candidate has one of its own. @default a random one */
  readonly id?: string
  /** Told to observers with it, up to 8,192 characters: an address, say. `proclaim` changes it. @default none */
  readonly value?: string
}

/** How to campaign: as a lock is acquired. */
export interface CampaignOptions extends AcquireOptions {
  /** As `ElectionOptions.value`, from now on. */
  readonly value?: string
  /**
   * A `leaseHandle` of the leadership that this candidate had before it was started again: when the store still has it, it leads on, at
   * once and with the same token; when not, it campaigns. Not on ZooKeeper. @default none
   */
  readonly resume?: string
}

/** How to lead again and again. */
export interface RunOptions extends CampaignOptions {
  /** Whether to campaign again also when the work has ended by itself: then only `signal`, or an error, ends it all. @default false */
  readonly requeue?: boolean
}

/** What a candidate does while it leads. `signal` aborts when the leadership is lost or resigned, and when the caller's signal does. */
export type LeaderWork<T> = (lease: Lease, signal: AbortSignal) => T | Promise<T>

const VALUE_CHARACTERS_MAX = 8_192
const ELECTION_NAMES: ReadonlySet<string> = new Set(['id', 'value', 'ttlMs', 'meta'])
const CAMPAIGN_NAMES: ReadonlySet<string> = new Set([...ACQUIRE_OPTION_NAMES, 'value', 'resume'])
const RUN_NAMES: ReadonlySet<string> = new Set([...CAMPAIGN_NAMES, 'requeue'])

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkElectionOptions(options: ElectionOptions): void {
  checkKeys('election', options, ELECTION_NAMES)
  checkAcquireOptions(options, ELECTION_NAMES)
  encodeMeta(options.meta)
  if (options.id !== undefined) checkName('id', options.id)
  checkLeaderValue(options.value)
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkCampaignOptions(options: CampaignOptions): void {
  checkKeys('campaign', options, CAMPAIGN_NAMES)
  checkCampaign(options, CAMPAIGN_NAMES)
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkRunOptions(work: unknown, options: RunOptions): void {
  checkWork(work, options)
  checkKeys('run', options, RUN_NAMES)
  checkCampaign(options, RUN_NAMES)
  checkBoolean('requeue', options.requeue)
}

/** @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` */
export function checkLeaderValue(value: unknown): void {
  if (value === undefined || (typeof value === 'string' && value.length <= VALUE_CHARACTERS_MAX)) return
  const got = typeof value === 'string' ? `${value.length} characters` : show(value)
  throw new InvalidArgumentError(
    'value',
    `Expected \`value\` to be a text of at most ${VALUE_CHARACTERS_MAX} characters, got ${got}.`,
  )
}

function checkCampaign(options: CampaignOptions, known: ReadonlySet<string>): void {
  checkAcquireOptions(options, known)
  encodeMeta(options.meta)
  checkLeaderValue(options.value)
  if (options.resume === undefined || typeof options.resume === 'string') return
  throw new InvalidArgumentError(
    'resume',
    `Expected \`resume\` to be what \`leaseHandle\` gave, got ${show(options.resume)}.`,
  )
}
