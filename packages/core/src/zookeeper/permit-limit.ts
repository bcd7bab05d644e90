import { RefusedError } from '../errors.ts'
import type { ClaimParts } from './claims.ts'
import { CODE, isCode } from './errors.ts'
import { MODE, getData, setData } from './operations.ts'
import { makeParents } from './parents.ts'

const ROUNDS_MAX = 20
const NUMBER = /^\s*[+-]?\d+\s*$/

/**
 * kazoo keeps the number of permits in the node above them, and takes no other from anybody. Data that is no number counts for
 * nothing, there as here.
 *
 * @throws {RefusedError} `HF_REFUSED` when it is another
 */
export async function agreeOnLimit(
  { session, server }: Pick<ClaimParts, 'session' | 'server'>,
  path: string,
  limit: number,
): Promise<void> {
  const own = Buffer.from(String(limit))
  for (let round = 1; ; round++) {
    try {
      const { data, stat } = await session.run(getData(path))
      const text = data.toString('latin1')
      if (text === '') await session.run(setData(path, own, stat.version))
      if (!NUMBER.test(text) || Number(text) === limit) return
      throw new RefusedError(
        `The semaphore ${path} of ZooKeeper at ${server} has ${Number(text)} permits, and the wish was for one of ${limit}.`,
      )
    } catch (error) {
      if (round === ROUNDS_MAX) throw error
      if (isCode(error, CODE.badVersion)) continue
      if (!isCode(error, CODE.noNode)) throw error
      const problem = await makeParents(session, `${path}/x`, MODE.persistent)
      if (problem !== undefined && round > 1) throw problem
    }
  }
}
