import { isIP } from 'node:net'
import { FencingToken } from '../fencing/token.ts'
import type { Contender } from './contender.ts'
import { OustedError } from './contender.ts'
import { CODE, OperationError, isCode, isFailure } from './errors.ts'
import type { MultiOutcome, Step } from './multi.ts'
import { multi } from './multi.ts'
import { NO_DATA, getData } from './operations.ts'
import type { Session } from './session.ts'

/** What the node says that remembers the last writer. */
export interface WriterMark {
  /** 0 where there is none. */
  readonly token: bigint
  /** The node holds something that nobody of us wrote. */
  readonly isForeign: boolean
}

const UNMARKED: WriterMark = Object.freeze({ token: 0n, isForeign: false })
const FOREIGN: WriterMark = Object.freeze({ token: 0n, isForeign: true })
const TOKEN = /^\d{20}$/
const ANY_VERSION = -1
const ROUNDS_MAX = 20

/** The mark at `path`. */
export async function readWriterMark(session: Session, path: string): Promise<WriterMark> {
  const { data } = await session.run(getData(path)).catch(whenMissing)
  const text = data.toString('latin1')
  if (TOKEN.test(text)) return { token: FencingToken.parse(text).value, isForeign: false }
  // Curator writes the client's address into nodes for which it is given nothing else.
  return text === '' || isIP(text) !== 0 ? UNMARKED : FOREIGN
}

/**
 * Marks a writer, as long as its node stands: whoever reads after it finds the mark. Rejects with `OperationError`.
 *
 * @throws {OustedError} when its node is gone
 */
export async function writeWriterMark(contender: Contender, path: string): Promise<void> {
  const { session, path: own = '', czxid } = contender
  const data = Buffer.from(new FencingToken(czxid).toString())
  let isMissing = false
  for (let round = 1; ; round++) {
    const write: Step = isMissing ? { kind: 'create', path, data } : { kind: 'set', path, data, version: ANY_VERSION }
    try {
      const outcome: MultiOutcome = await session.run(
        multi([{ kind: 'check', path: own, version: ANY_VERSION }, write], session.acl),
      )
      if (outcome.kind === 'done') return
      const { index, code }: { index: number; code: number } = outcome
      if (index === 0 && code === CODE.noNode) throw new OustedError()
      const isAsSeen = code !== CODE.noNode && code !== CODE.nodeExists
      if (isAsSeen || round === ROUNDS_MAX) throw new OperationError({ kind: 'refused', code })
      isMissing = code === CODE.noNode
    } catch (error) {
      // To say it twice does no harm.
      if (!isFailure(error, 'cut') || round === ROUNDS_MAX) throw error
    }
  }
}

function whenMissing(error: unknown): { readonly data: Buffer } {
  if (isCode(error, CODE.noNode)) return { data: Buffer.from(NO_DATA) }
  throw error
}
