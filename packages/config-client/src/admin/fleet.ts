import type { Backend, DirectoryRead, DirectoryView, DirectoryWatch, Subscription } from '@holdfast/core'
import { watchDirectory } from '@holdfast/core'
import type { InstanceReport } from '../client/report.ts'
import { decodeReport } from '../release/codec.ts'
import type { Scope } from '../release/scope.ts'
import { CANDIDATE, HEAD, placesOf } from '../release/scope.ts'
import type { BookPage } from './release-book.ts'
import { NO_RECORDS, pageOf } from './release-book.ts'
import { WITHDRAWN } from './withdrawals.ts'

/** What is seen of a scope by who watches it. */
export interface FleetView {
  readonly page: BookPage
  readonly reports: readonly InstanceReport[]
}

/** Who watches. */
export interface FleetListener {
  /** There may be something new to see. */
  readonly changed: () => void
  /** The backend was closed: there will be nothing new any more. */
  readonly closed: () => void
}

/** Watches the releases of a scope and the reports of its instances. */
export class Fleet {
  readonly #scope: Scope
  readonly #releases: DirectoryWatch
  readonly #instances: DirectoryWatch
  readonly #health: Subscription
  #decoded: { readonly from: DirectoryView; readonly page: BookPage } | undefined

  constructor(backend: Backend, scope: Scope, { changed, closed }: FleetListener) {
    const places = placesOf(scope)
    this.#scope = scope
    this.#releases = watchDirectory(backend, places.releases, { ids: [HEAD, CANDIDATE, WITHDRAWN] })
    this.#instances = watchDirectory(backend, places.instances, { ephemerals: true })
    this.#releases.view.subscribe(changed)
    this.#instances.view.subscribe(changed)
    this.#health = backend.health.subscribe(({ kind }) => {
      if (kind === 'closed') closed()
    })
  }

  /** Undefined until both were read. */
  get view(): FleetView | undefined {
    const [releases, instances] = [this.#releases.view.current, this.#instances.view.current]
    if (releases.kind === 'unread' || instances.kind === 'unread') return undefined
    return { page: this.#pageOf(releases), reports: reportsOf(instances) }
  }

  /** Asks the store now. Rejects when it does not answer. */
  async refresh(signal?: AbortSignal): Promise<void> {
    await Promise.all([this.#releases.refresh(signal), this.#instances.refresh(signal)])
  }

  close(): void {
    this.#releases.close()
    this.#instances.close()
    this.#health.close()
  }

  #pageOf(view: DirectoryView): BookPage {
    if (this.#decoded?.from === view) return this.#decoded.page
    const page = pageOf(this.#scope, view.kind === 'present' ? view : NO_RECORDS)
    this.#decoded = { from: view, page }
    return page
  }
}

/** The reports in an instances directory, by id. */
export function reportsOf(read: DirectoryRead | DirectoryView): readonly InstanceReport[] {
  if (read.kind !== 'present') return []
  return [...read.ephemerals.values()]
    .flatMap(({ value }) => decodeReport(value) ?? [])
    .sort((a, b) => (a.id < b.id ? -1 : 1))
}
