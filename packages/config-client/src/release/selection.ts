import { createHash } from 'node:crypto'
import { assertNever } from '@holdfast/core'
import type { InstanceReport } from '../client/report.ts'
import type { ReleaseName, RolloutRule } from './release.ts'
import type { Scope } from './scope.ts'

/**
 * Whether a release that is being rolled out is meant for an instance. Pure, so that publisher and instance agree. By percent it is
 * monotone: who is selected at 10 % is at 50 %, also after a restart with the same slot; which slots come first differs from content to
 * content, so that not always the same ones take the risk.
 */
export function selects(
  rule: RolloutRule,
  instance: Pick<InstanceReport, 'id' | 'slot' | 'labels'>,
  release: ReleaseName,
  scope: Scope,
): boolean {
  switch (rule.kind) {
    case 'labels':
      return Object.entries(rule.labels).every(
        ([name, value]) => Object.hasOwn(instance.labels, name) && instance.labels[name] === value,
      )
    case 'percent':
      return bucketOf(instance.slot, release, scope) < rule.percent
    case 'instances':
      return rule.ids.includes(instance.id)
    case 'any':
      return rule.of.some(one => selects(one, instance, release, scope))
    default:
      return assertNever(rule)
  }
}

/** Where a slot stands for a release, in [0, 100): a share of so many percent selects those below it. */
export function bucketOf(slot: string, { hash }: ReleaseName, { app, env }: Scope): number {
  const digest = createHash('sha256').update(`${app}:${env}:${hash}:${slot}`).digest()
  return (digest.readUInt32BE(0) / 2 ** 32) * 100
}
