import { monotonicMs } from '../monotonic.ts'
import type { Held } from './contender.ts'
import type { StallReport } from './protocol.ts'

/** Blocks the event loop, and asks all the time whether the lock is held. */
export function stall(held: Held, stallMs: number): StallReport {
  // By the wire, not by the lease's own word. Nothing is received while the loop is blocked, so it stays so.
  const deadlineMs = held.provenAtMs() + held.ttlMs
  const endMs = monotonicMs() + stallMs
  const sleeper = new Int32Array(new SharedArrayBuffer(4))
  let [passes, signalPasses, checks] = [0, 0, 0]
  while (monotonicMs() < endMs) {
    // Asleep, so that a stall of one does not take the machine from the others.
    Atomics.wait(sleeper, 0, 0, 2)
    if (monotonicMs() <= deadlineMs) continue
    checks += 1
    if (passesAsHeld(held)) passes += 1
    if (!held.hasSignalled()) signalPasses += 1
  }
  return { passes, signalPasses, checks }
}

function passesAsHeld(held: Held): boolean {
  if (held.remainingMs() > 0 || held.canReadToken()) return true
  try {
    held.assertHeld()
    return true
  } catch {
    return false
  }
}
