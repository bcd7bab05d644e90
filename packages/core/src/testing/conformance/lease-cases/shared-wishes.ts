import assert from 'node:assert/strict'
import type { Grant, LeaseMode } from '../../../ports/leases.ts'
import type { Scene, Waiting } from '../scene.ts'
import { HOP_MS } from '../stage.ts'

/** Beside other readers. */
export const READ: { readonly mode: LeaseMode } = Object.freeze({ mode: { kind: 'read' } })

/** Alone, and readers are kept out. */
export const WRITE: { readonly mode: LeaseMode } = Object.freeze({ mode: { kind: 'write' } })

/** Beside others, `limit` at a time. */
export function permit(limit: number): { readonly mode: LeaseMode } {
  return { mode: { kind: 'permit', limit } }
}

/** The grant that a waiter must get now, within a hop. */
export function nowGranted(scene: Scene, waiting: Waiting, what: string): Promise<Grant> {
  return scene.within(waiting.promise, HOP_MS, what)
}

/** Time passes, and none of them has been granted. */
export async function stillWaiting(scene: Scene, ...waiting: readonly Waiting[]): Promise<void> {
  await scene.harness.advance(30)
  const states = waiting.map(({ state }) => state)
  assert.deepEqual(
    states,
    states.map(() => 'pending'),
    'Somebody did not wait for its turn.',
  )
}
