import type { Clock } from '@holdfast/core'
import { onAbort } from '@holdfast/core'
import type { Prepared, Transaction } from '../client/config.ts'
import type { Refusal } from '../client/report.ts'
import { messageOf } from '../errors.ts'
import type { ReleaseName } from '../release/release.ts'
import { wordsWithoutSecrets } from '../resolve/concealment.ts'
import type { Enlisted } from './participants.ts'
import type { Snapshot } from './snapshot.ts'
import type { Ended } from './within-limit.ts'
import { endOf } from './within-limit.ts'

/** What is to be changed, and who takes part. */
export interface TransactionPlan {
  readonly next: Snapshot
  readonly previous: Snapshot
  /** In the order in which they prepare and commit. */
  readonly enlisted: readonly Enlisted[]
  /** Puts a snapshot in place; nobody is told. */
  readonly swap: (to: Snapshot) => void
  readonly clock: Clock
  /** For each call of a participant, in milliseconds. */
  readonly limitMs: number
  /** Turns it back, as long as nothing was swapped. */
  readonly signal: AbortSignal
  readonly rollbackFailed: (participant: string, error: unknown) => void
}

/** How it ended. In all cases but the first everything is as before. */
export type TransactionOutcome =
  | { readonly kind: 'committed' }
  | { readonly kind: 'refused'; readonly refusal: Omit<Refusal, 'release'> }
  | { readonly kind: 'interrupted'; readonly cause: unknown }

interface PreparedParticipant {
  readonly enlisted: Enlisted
  readonly prepared: Prepared
}

/** Prepares everybody, swaps, commits everybody; whatever fails takes all of it back in the reverse order. Never rejects. */
export async function runTransaction(plan: TransactionPlan): Promise<TransactionOutcome> {
  const { enlisted, next, signal, swap } = plan
  if (enlisted.length > 0) return await new RunningTransaction(plan).run()
  if (signal.aborted) return { kind: 'interrupted', cause: signal.reason }
  swap(next)
  return { kind: 'committed' }
}

class RunningTransaction {
  readonly #plan: TransactionPlan
  readonly #failed = new AbortController()
  readonly #prepared: PreparedParticipant[] = []

  constructor(plan: TransactionPlan) {
    this.#plan = plan
  }

  async run(): Promise<TransactionOutcome> {
    const stopListening = onAbort(this.#plan.signal, reason => this.#failed.abort(reason))
    const refused = await this.#prepareAll()
    stopListening()
    if (refused !== undefined) return refused
    this.#plan.swap(this.#plan.next)
    return (await this.#commitAll()) ?? { kind: 'committed' }
  }

  async #prepareAll(): Promise<TransactionOutcome | undefined> {
    for (const enlisted of this.#plan.enlisted) {
      if (enlisted.hasLeft) continue
      const ended = await this.#prepare(enlisted)
      if (ended.kind === 'done') {
        this.#prepared.push({ enlisted, prepared: ended.value ?? {} })
        continue
      }
      const outcome: TransactionOutcome =
        ended.kind === 'aborted'
          ? { kind: 'interrupted', cause: ended.reason }
          : this.#refused('prepare', enlisted, ended)
      await this.#takeBack(outcome)
      return outcome
    }
    const { signal } = this.#plan
    if (!signal.aborted) return undefined
    const outcome: TransactionOutcome = { kind: 'interrupted', cause: signal.reason }
    await this.#takeBack(outcome)
    return outcome
  }

  #prepare(enlisted: Enlisted): Promise<Ended<Prepared | void>> {
    const { clock, limitMs, signal, next, previous } = this.#plan
    const transaction: Transaction<unknown> = {
      next: next.partOf(enlisted.namespace)?.resolved.value,
      previous: previous.partOf(enlisted.namespace)?.resolved.value,
      release: next.release,
      signal: this.#failed.signal,
    }
    return endOf<Prepared | void>(() => enlisted.participant.prepare(transaction), {
      clock,
      limitMs,
      signal,
      // It was given up; what it has made all the same is taken back when it comes.
      late: prepared => void this.#rollBack({ enlisted, prepared: prepared ?? {} }),
    })
  }

  async #commitAll(): Promise<TransactionOutcome | undefined> {
    const { clock, limitMs } = this.#plan
    for (const { enlisted, prepared } of this.#prepared) {
      const ended = await endOf(() => prepared.commit?.(), { clock, limitMs })
      if (ended.kind === 'done' || ended.kind === 'aborted') continue
      this.#plan.swap(this.#plan.previous)
      const outcome = this.#refused('commit', enlisted, ended)
      await this.#takeBack(outcome)
      return outcome
    }
    return undefined
  }

  #refused(
    stage: 'prepare' | 'commit',
    { namespace, participant }: Enlisted,
    ended: Exclude<Ended<unknown>, { kind: 'done' | 'aborted' }>,
  ): TransactionOutcome {
    const { next, previous, limitMs } = this.#plan
    const given = [next, previous].map(snapshot => snapshot.partOf(namespace)?.resolved.raw)
    const why =
      ended.kind === 'hung' ? `did not settle within ${limitMs} ms` : wordsWithoutSecrets(messageOf(ended.error), given)
    const issue = { namespace, path: [], message: `${stage} of "${participant.name}": ${why}` }
    return { kind: 'refused', refusal: { stage, participant: participant.name, issues: [issue] } }
  }

  async #takeBack(outcome: TransactionOutcome): Promise<void> {
    this.#failed.abort(outcome.kind === 'interrupted' ? outcome.cause : new Error('The release was refused.'))
    for (const prepared of this.#prepared.reverse()) await this.#rollBack(prepared)
  }

  async #rollBack({ enlisted, prepared }: PreparedParticipant): Promise<void> {
    const { clock, limitMs, rollbackFailed } = this.#plan
    const ended = await endOf(() => prepared.rollback?.(), { clock, limitMs })
    if (ended.kind === 'failed') rollbackFailed(enlisted.participant.name, ended.error)
    if (ended.kind === 'hung') rollbackFailed(enlisted.participant.name, new Error(`It hung for ${limitMs} ms.`))
  }
}

/** As it stands in a report. */
export function refusalOf({ number, hash }: ReleaseName, refusal: Omit<Refusal, 'release'>): Refusal {
  return { release: { number, hash }, ...refusal }
}
