import type { Announcement, Backend } from '@holdfast/core'
import { announceRecord } from '@holdfast/core'
import { z } from 'zod'
import type { InstanceReport } from '../client/report.ts'
import { defineNamespace } from '../namespace/namespace.ts'
import { encodeReport } from '../release/codec.ts'
import type { ReleaseName } from '../release/release.ts'
import { isSameRelease } from '../release/same-release.ts'
import type { Scope } from '../release/scope.ts'
import { placesOf } from '../release/scope.ts'
import type { ConfigAdminOptions } from './admin-options.ts'
import type { ConfigAdmin } from './admin.ts'
import { openConfigAdmin } from './open-config-admin.ts'

export const SCOPE: Scope = { app: 'shop', env: 'prod' }

export const checkout = defineNamespace('checkout', {
  schema: z.object({
    timeoutMs: z.number().int().min(50).max(5_000).default(500),
    retries: z.number().int().default(2),
  }),
})

/** Whatever publishes to a store, and follows it, for tests. */
export class FleetFixture {
  readonly backend: Backend

  constructor(backend: Backend) {
    this.backend = backend
  }

  admin(options: Partial<ConfigAdminOptions> = {}): ConfigAdmin {
    return openConfigAdmin({ backend: this.backend, ...SCOPE, namespaces: [checkout], author: 'ann', ...options })
  }

  /** An instance that says what the test tells it to say. */
  instance(id: string, report: Partial<InstanceReport> = {}): ReportedInstance {
    return new ReportedInstance(this.backend, id, report)
  }
}

/** An instance of which there is nothing but its report. */
export class ReportedInstance {
  readonly #announcement: Announcement
  #report: InstanceReport
  #previous: ReleaseName | undefined

  constructor(backend: Backend, id: string, report: Partial<InstanceReport>) {
    this.#report = {
      id,
      slot: id,
      labels: {},
      applied: undefined,
      source: 'store',
      refusal: undefined,
      pendingRestart: [],
      schemas: {},
      ...report,
      ...(report.applied && { applied: nameOf(report.applied) }),
    }
    this.#announcement = announceRecord(backend, {
      directory: placesOf(SCOPE).instances,
      id,
      value: encodeReport(this.#report),
      ttlMs: 86_400_000,
    })
  }

  applies(release: ReleaseName): void {
    this.#previous = this.#report.applied
    this.#say({ applied: nameOf(release), refusal: undefined })
  }

  /** Takes it back, if it had applied it. */
  refuses(release: ReleaseName, message: string): void {
    const { applied } = this.#report
    const issues = [{ namespace: 'checkout', path: ['timeoutMs'], message }]
    this.#say({
      applied: isSameRelease(applied, release) ? this.#previous : applied,
      refusal: { release: nameOf(release), stage: 'parse', participant: undefined, issues },
    })
  }

  async leave(): Promise<void> {
    await this.#announcement.leave()
  }

  #say(report: Partial<InstanceReport>): void {
    this.#report = { ...this.#report, ...report }
    this.#announcement.update(encodeReport(this.#report))
  }
}

// A release is given where its name is meant.
function nameOf({ number, hash }: ReleaseName): ReleaseName {
  return { number, hash }
}
