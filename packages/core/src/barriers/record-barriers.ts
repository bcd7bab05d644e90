import type { Backend } from '../backend.ts'
import { UnknownOutcomeError } from '../errors.ts'
import type { BarrierStore, BarrierWait, Membership, PartyRequest } from '../ports/barriers.ts'
import type { RecordChange, RecordStore } from '../ports/records.ts'
import { departed } from './departures.ts'
import { RecordMembership } from './record-membership.ts'
import { recipeDirectory } from './recipe-directory.ts'
import { untilView } from './until-view.ts'

const SHUT = 'shut'
const NOTHING = new Uint8Array(0)
const ATTEMPTS_MAX = 3

/** Barriers over the records of a backend. A barrier is shut while the record `shut` is there. */
export function recordBarriers(backend: Backend): BarrierStore {
  return new RecordBarrierStore(backend)
}

class RecordBarrierStore implements BarrierStore {
  readonly #backend: Backend

  constructor(backend: Backend) {
    this.#backend = backend
  }

  async shut(barrier: string, signal?: AbortSignal): Promise<void> {
    // That it is there already is as good.
    await this.#commit(barrier, { kind: 'put', id: SHUT, value: NOTHING, expect: 'absent' }, signal)
  }

  async open(barrier: string, signal?: AbortSignal): Promise<void> {
    if (await this.isShut(barrier, signal)) await this.#commit(barrier, { kind: 'delete', id: SHUT }, signal)
  }

  async isShut(barrier: string, signal?: AbortSignal): Promise<boolean> {
    const directory = recipeDirectory('barrier', barrier)
    const read = await this.#backend.records.read({ directory, ids: [SHUT] }, signal)
    return read.kind === 'present' && read.records.has(SHUT)
  }

  untilOpen(barrier: string, wait: BarrierWait = {}): Promise<void> {
    const watched = { directory: recipeDirectory('barrier', barrier), ids: [SHUT] }
    let shutAs: string | undefined
    return untilView(this.#backend, watched, wait, view => {
      const version = view.kind === 'present' ? view.records.get(SHUT)?.version : undefined
      // Another version: it was opened and shut again in between.
      if (version === undefined || (shutAs !== undefined && version !== shutAs)) return OPEN
      shutAs = version
      return undefined
    }).then(() => undefined)
  }

  async enter(request: PartyRequest, wait: BarrierWait = {}): Promise<Membership> {
    await departed(this.#backend, recipeDirectory('double-barrier', request.barrier), wait.signal)
    const membership = new RecordMembership(this.#backend, request)
    await membership.enter(wait)
    return membership
  }

  #commit(barrier: string, change: RecordChange, signal: AbortSignal | undefined): Promise<void> {
    return commitForCertain(
      this.#backend.records,
      { directory: recipeDirectory('barrier', barrier), changes: [change] },
      signal,
    )
  }
}

const OPEN = Symbol('open')

/** Sends a commit again, under its id, while nobody knows what became of it. A conflict is no failure. */
async function commitForCertain(
  records: RecordStore,
  commit: { readonly directory: string; readonly changes: readonly RecordChange[] },
  signal: AbortSignal | undefined,
): Promise<void> {
  const commitId = records.newId()
  for (let attempt = 1; ; attempt += 1) {
    try {
      await records.commit({ ...commit, commitId }, signal)
      return
    } catch (error) {
      if (!(error instanceof UnknownOutcomeError) || attempt === ATTEMPTS_MAX) throw error
    }
  }
}
