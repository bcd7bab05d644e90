import assert from 'node:assert/strict'
import type { Backend } from '../../../backend.ts'
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

interface LastRelease {
  readonly by: Backend
  readonly grant: Grant
  /** Who tries to write then. */
  readonly writer: Backend
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

/** The last who holds it releases it: another can write at once, and when that has gone nothing is left. */
export async function lastReleased(scene: Scene, { by, grant, writer }: LastRelease): Promise<void> {
  const { resource } = grant.request
  assert.equal(await scene.release(by, grant), 'released')
  assert.equal(await scene.probe(writer, resource, WRITE), 'granted')
  await scene.nothingLeft(resource)
}
