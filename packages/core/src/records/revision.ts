import type { Random } from '../random.ts'
import type { Revision } from '../ports/records.ts'

/** How many commits a directory remembers, so that one which is sent again is known (R4). */
export const COMMITS_REMEMBERED = 32

/** What became of a directory between two reads. */
export type Succession =
  /** Nothing was read before. */
  | 'first'
  /** The next, or a later one, of the same history. */
  | 'forward'
  /** The store went back: it lost commits that it had shown, or has another one in their place. */
  | 'regressed'
  /** The directory was made anew: the store lost all of it, or was exchanged. */
  | 'replaced'

/** How `next` follows `previous`; the two are not the same state. */
export function successionOf(previous: Revision | undefined, next: Revision): Succession {
  if (previous === undefined) return 'first'
  if (previous.history !== next.history) return 'replaced'
  return next.number > previous.number || isSameRevision(previous, next) ? 'forward' : 'regressed'
}

function isSameRevision(a: Revision, b: Revision): boolean {
  return a.history === b.history && a.number === b.number && a.commit === b.commit
}

const ID_BYTES = 16
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** 128 random bits as 22 characters of base64url: the id of a commit, a history or an owner. */
export function randomId(random: Random): string {
  const bytes = random.bytes(ID_BYTES)
  let text = ''
  for (let at = 0; at < ID_BYTES; at += 3) {
    const bits = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0)
    for (let shift = 18; shift >= 0; shift -= 6) text += ALPHABET[(bits >> shift) & 63]
  }
  return text.slice(0, 22)
}
