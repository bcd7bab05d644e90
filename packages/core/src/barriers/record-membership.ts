import { orAborted } from '../abort.ts'
import type { Backend } from '../backend.ts'
import type { BarrierWait, Membership, PartyRequest } from '../ports/barriers.ts'
import type { RecordChange, StoredRecord } from '../ports/records.ts'
import type { Announcement } from '../records/announcement.ts'
import { announceRecord } from '../records/announcement.ts'
import { noteDeparture } from './departures.ts'
import { recipeDirectory } from './recipe-directory.ts'
import { together } from './together.ts'
import type { ReadView } from './until-view.ts'
import { untilView } from './until-view.ts'

const READY = 'ready'
const encoder = new TextEncoder()

/**
 * One party's stay in a double barrier. Each party is an ephemeral record. Who sees that enough of them are there writes `ready`, with
 * the ids of those who were; and who leaves takes it away once all whom he left behind have left as well, so it stands for as long as
 * somebody may still have to see it.
 */
export class RecordMembership implements Membership {
  readonly #backend: Backend
  readonly #request: PartyRequest
  readonly #directory: string
  readonly #id: string
  readonly #announcement: Announcement
  // The version of `ready` by which it came in.
  #round: string | undefined

  constructor(backend: Backend, request: PartyRequest) {
    const { barrier, meta, ttlMs } = request
    this.#backend = backend
    this.#request = request
    this.#directory = recipeDirectory('double-barrier', barrier)
    this.#id = backend.records.newId()
    const value = encoder.encode(meta)
    const announced = { directory: this.#directory, id: this.#id, value }
    this.#announcement = announceRecord(backend, ttlMs === undefined ? announced : { ...announced, ttlMs })
  }

  async enter(wait: BarrierWait): Promise<void> {
    try {
      // What is older than its coming does not show it.
      const awaited = { directory: this.#directory, ephemerals: true, mayBeOld: true }
      await untilView(this.#backend, awaited, wait, view => this.#isIn(view))
    } catch (error) {
      // Goes on by itself, and ends with the TTL at the latest.
      void this.#goAway()
      throw error
    }
    // The others were told that it is gone: it must not count for the next time as if it had come again.
    this.#announcement.state.subscribe(({ kind }) => {
      if (kind === 'joining') void this.#goAway()
    })
  }

  async leave(wait: BarrierWait = {}): Promise<void> {
    let before: Before | undefined
    const haveLeft = async (view: ReadView): Promise<true | undefined> => {
      // Before it leaves: nobody who comes for the next time is among them, for that begins when all of these are gone.
      before ??= this.#before(view)
      void this.#goAway()
      if (view.kind === 'present' && before.others.some(id => view.ephemerals.has(id))) return undefined
      // Should this fail, the next who comes sees that nobody of them is left.
      if (before.ready !== undefined) await this.#takeAway(before.ready).catch(() => undefined)
      return true
    }
    try {
      await untilView(this.#backend, { directory: this.#directory, ephemerals: true }, wait, haveLeft)
    } finally {
      // Goes on by itself when the caller has waited enough.
      await orAborted(this.#goAway(), wait.signal)
    }
  }

  /** Whoever enters through the same backend meanwhile waits for it: it would be counted beside him. */
  #goAway(): Promise<void> {
    const going = this.#announcement.leave()
    noteDeparture(this.#backend, this.#directory, going)
    return going
  }

  /** Who was in when it began to leave. */
  #before(view: ReadView): Before {
    if (view.kind === 'missing') return { others: [], ready: undefined }
    const ready = view.records.get(READY)
    // It counted as gone already, and those who are in came after all of its time had left.
    if (!view.ephemerals.has(this.#id) && ready?.version !== this.#round) return { others: [], ready: undefined }
    return { others: [...view.ephemerals.keys()].filter(id => id !== this.#id), ready }
  }

  async #isIn(view: ReadView): Promise<true | undefined> {
    // Not joined yet, or it has ended and is being joined again.
    if (view.kind === 'missing' || !view.ephemerals.has(this.#id)) return undefined
    const ready = view.records.get(READY)
    if (ready !== undefined) {
      this.#round = ready.version
      if (partiesOf(ready).some(id => view.ephemerals.has(id))) return true
      // All of them died inside: it is a leftover.
      await this.#takeAway(ready)
      return undefined
    }
    if (view.ephemerals.size < this.#request.parties) return undefined
    const parties = [...view.ephemerals.keys()]
    this.#round = await together(this.#backend, `${this.#directory} opens`, () => this.#open(parties))
    // Where another was faster, the next view shows it.
    return this.#round === undefined ? undefined : true
  }

  /** The version of what says so; undefined when another was faster. */
  async #open(parties: readonly string[]): Promise<string | undefined> {
    const { records } = this.#backend
    const value = encoder.encode(JSON.stringify(parties))
    const outcome = await records.commit({
      directory: this.#directory,
      commitId: records.newId(),
      changes: [{ kind: 'put', id: READY, value, expect: 'absent' }],
    })
    return outcome.kind === 'committed' ? outcome.revision.commit : undefined
  }

  #takeAway({ id, version }: StoredRecord): Promise<unknown> {
    const { records } = this.#backend
    const change: RecordChange = { kind: 'delete', id, expect: { version } }
    return together(this.#backend, `${this.#directory} ends ${version}`, () =>
      records.commit({ directory: this.#directory, commitId: records.newId(), changes: [change] }),
    )
  }
}

interface Before {
  readonly others: readonly string[]
  readonly ready: StoredRecord | undefined
}

const parsed = new WeakMap<StoredRecord, readonly string[]>()

/** All who share a view ask for the same. */
function partiesOf(ready: StoredRecord): readonly string[] {
  const known = parsed.get(ready)
  if (known !== undefined) return known
  const value: unknown = JSON.parse(new TextDecoder().decode(ready.value))
  const parties = Array.isArray(value) ? value.map(String) : []
  parsed.set(ready, parties)
  return parties
}
