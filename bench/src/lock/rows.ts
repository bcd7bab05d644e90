import type { RoundResults } from '../rounds.ts'
import type { Measured } from '../row.ts'
import type { RowSubject } from '../rows.ts'
import { Rows } from '../rows.ts'
import { BOUNDS } from './bounds.ts'
import type { PeerName } from './peer-runner.ts'

export const rows: Rows = new Rows('lock', BOUNDS)

/** The same figures once more for each of these peers, as `<name>:<peer>`, with the ratio to it. */
export function againstPeers<T>(
  subject: RowSubject,
  results: RoundResults<T>,
  by: { readonly peers: readonly PeerName[]; readonly figure: (result: T) => number },
): Measured[] {
  return by.peers.map(reference =>
    rows.compared({ ...subject, name: `${subject.name}:${reference}` }, results, { reference, figure: by.figure }),
  )
}
