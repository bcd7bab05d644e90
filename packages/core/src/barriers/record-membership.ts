import { orAborted } from '../abort.ts'
import type { Backend } from '../backend.ts'
import type { BarrierWait, Membership, PartyRequest } from '../ports/barriers.ts'
import type { StoredRecord } from '../ports/records.ts'
import type { Announcement } from '../records/announcement.ts'
import { announceRecord } from '../records/announcement.ts'
import { recipeDirectory } from './recipe-directory.ts'
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
      const watched = { directory: this.#directory, ephemerals: true }
      await untilView(this.#backend, watched, wait, view => this.#isIn(view))
    } catch (error) {
      // Goes on by itself, and ends with the TTL at the latest.
      void this.#announcement.leave()
      throw error
    }
  }

  async leave(wait: BarrierWait = {}): Promise<void> {
    const { records } = this.#backend
    // Before it leaves: nobody who comes for the next time is among them, for that begins when all of these are gone.
    const reading = records.read({ directory: this.#directory, ephemerals: true }, wait.signal)
    // Goes on by itself when the caller has waited enough.
    const before = await reading.finally(() => orAborted(this.#announcement.leave(), wait.signal))
    if (before.kind !== 'present') return
    const others = [...before.ephemerals.keys()].filter(id => id !== this.#id)
    const isEmpty = (view: ReadView): true | undefined =>
      view.kind === 'missing' || !others.some(id => view.ephemerals.has(id)) ? true : undefined
    await untilView(this.#backend, { directory: this.#directory, ephemerals: true }, wait, isEmpty)
    const ready = before.records.get(READY)
    // Should this fail, the next who comes sees that nobody of them is left.
    if (ready !== undefined) await this.#takeAway(ready).catch(() => undefined)
  }

  async #isIn(view: ReadView): Promise<true | undefined> {
    // Not joined yet, or it has ended and is being joined again.
    if (view.kind === 'missing' || !view.ephemerals.has(this.#id)) return undefined
    const present = [...view.ephemerals.keys()]
    const ready = view.records.get(READY)
    if (ready !== undefined) {
      const parties = partiesOf(ready)
      if (parties.some(id => view.ephemerals.has(id))) return true
      // All of them died inside: it is a leftover.
      await this.#takeAway(ready)
      return undefined
    }
    if (present.length < this.#request.parties) return undefined
    return await this.#open(present)
  }

  async #open(parties: readonly string[]): Promise<true | undefined> {
    const { records } = this.#backend
    const value = encoder.encode(JSON.stringify(parties))
    const outcome = await records.commit({
      directory: this.#directory,
      commitId: records.newId(),
      changes: [{ kind: 'put', id: READY, value, expect: 'absent' }],
    })
    // Where another was faster, the next view shows it.
    return outcome.kind === 'committed' ? true : undefined
  }

  async #takeAway({ id, version }: StoredRecord): Promise<void> {
    const { records } = this.#backend
    await records.commit({
      directory: this.#directory,
      commitId: records.newId(),
      changes: [{ kind: 'delete', id, expect: { version } }],
    })
  }
}

function partiesOf({ value }: StoredRecord): readonly string[] {
  const parties: unknown = JSON.parse(new TextDecoder().decode(value))
  return Array.isArray(parties) ? parties.map(String) : []
}
