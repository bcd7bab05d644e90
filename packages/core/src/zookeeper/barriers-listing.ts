import { getChildren } from './operations.ts'
import { present } from './record-directory.ts'
import type { Session } from './session.ts'

type Listing = readonly string[] | undefined

interface UnderWay {
  readonly listing: Promise<Listing>
  /** For those who ask meanwhile. */
  next: Promise<Listing> | undefined
}

const underWay = new WeakMap<Session, Map<string, UnderWay>>()

/**
 * The children of a node, undefined where there is none. What is answered was asked since the call; who asks while an answer is under
 * way shares the next one, so a crowd in one process costs two listings and not one each. Rejects with `OperationError`.
 */
export function listTogether(session: Session, path: string): Promise<Listing> {
  const inSession = underWay.get(session) ?? new Map<string, UnderWay>()
  underWay.set(session, inSession)
  const before = inSession.get(path)
  if (before === undefined) return ask(session, path, inSession)
  const again = (): Promise<Listing> => ask(session, path, inSession)
  before.next ??= before.listing.then(again, again)
  return before.next
}

function ask(session: Session, path: string, inSession: Map<string, UnderWay>): Promise<Listing> {
  const listing = present(session, getChildren(path))
  const asked: UnderWay = { listing, next: undefined }
  inSession.set(path, asked)
  const answered = (): void => {
    // Else the next one takes its place.
    if (asked.next === undefined) inSession.delete(path)
  }
  listing.then(answered, answered)
  return listing
}
