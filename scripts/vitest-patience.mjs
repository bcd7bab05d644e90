// What a test waits for comes when the machine gets to it: nothing is proven by how soon that is, so all of them are patient.
// `expect.poll` has a setting for this; `vi.waitFor` and `vi.waitUntil` have a default alone.
import { vi } from 'vitest'

/** Long for any machine, and short of the 30 s after which what missed a notice looks by itself. */
const PATIENCE_MS = 15_000

const { waitFor, waitUntil } = vi
vi.waitFor = (check, options) => waitFor(check, patient(options))
vi.waitUntil = (check, options) => waitUntil(check, patient(options))

/**
 * @template {{ timeout?: number | undefined }} Options
 * @param {number | Options | undefined} options
 * @returns {number | Options}
 */
function patient(options) {
  if (typeof options === 'number') return options
  return /** @type {Options} */ ({ timeout: PATIENCE_MS, ...options })
}
