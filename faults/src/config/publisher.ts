import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ConfigAdmin } from '@holdfast/config-client'
import { openConfigAdmin } from '@holdfast/config-client'
import { HoldfastError } from '@holdfast/core'
import { backendAt } from './address.ts'
import { counter } from './namespaces.ts'
import type { PublishOrder, PublishReport } from './protocol.ts'

const FAILURES_KEPT = 5
const PAUSE_MS = 20

/** Makes the counter one greater, again and again, as others do at the same time. */
export async function publish(order: PublishOrder, progress: (published: number) => void): Promise<PublishReport> {
  const backend = backendAt(order.address)
  const admin = openConfigAdmin({ backend, app: order.app, env: 'faults', namespaces: [counter], author: order.author })
  const report = { published: 0, conflicts: 0, repeats: 0, failures: [] as string[] }
  while (report.published < order.count && report.failures.length < FAILURES_KEPT) {
    await publishNext(admin, order, report)
    if (report.published % 50 === 0) progress(report.published)
  }
  await admin.close()
  await backend.close()
  return report
}

type Counts = { -readonly [Key in keyof PublishReport]: PublishReport[Key] extends number ? number : string[] }

async function publishNext(admin: ConfigAdmin, { author, expects }: PublishOrder, report: Counts): Promise<void> {
  const requestId = randomUUID()
  let next: { readonly number: number; readonly value: number } | undefined
  for (;;) {
    try {
      next ??= await readNext(admin)
      const options = expects ? { requestId, expectedRevision: next.number } : { requestId }
      await admin.publish([counter.replace({ value: next.value, by: author })], options)
      report.published += 1
      return
    } catch (error) {
      const code = error instanceof HoldfastError ? error.code : String(error)
      if (code === 'HF_CONFLICT') {
        report.conflicts += 1
        return
      }
      if (code !== 'HF_UNAVAILABLE' && code !== 'HF_UNKNOWN_OUTCOME') {
        report.failures.push(`${code}: ${error instanceof Error ? error.message : ''}`)
        return
      }
      // The same request again: was it published, then this says so.
      if (next !== undefined) report.repeats += 1
      await sleep(PAUSE_MS)
    }
  }
}

async function readNext(admin: ConfigAdmin): Promise<{ readonly number: number; readonly value: number }> {
  const { head } = await admin.state()
  const value = head?.content.namespaces['counter']?.['value']
  return { number: head?.release.number ?? 0, value: (typeof value === 'number' ? value : 0) + 1 }
}
