import { RefusedError } from '../../errors.ts'
import { settingsOf } from './backend.ts'
import type { RedisQuorumOptions } from './options.ts'
import { checkQuorumOptions } from './options.ts'
import { serversOf } from './servers.ts'

/**
 * Lets a new set of servers vote at once, instead of after their quarantine. It says that no lease of these servers can be held by
 * anybody, and that nobody was ever given a token by them: only whoever has just set them up knows that. Meant for an operator, once,
 * before the first client, and for tests; in a program that runs at each start it would let two holders in after the day on which all
 * servers lost their data.
 *
 * All of them must answer, and none may have voted yet or come back from an earlier life with its data; then nothing is changed.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 * @throws {RefusedError} `HF_REFUSED` when a server has voted already, or may have
 * @throws {UnavailableError} `HF_UNAVAILABLE` when one did not answer
 */
export async function admitRedisQuorum(options: RedisQuorumOptions): Promise<void> {
  checkQuorumOptions('admitRedisQuorum', options)
  const nodes = serversOf(settingsOf(options), () => {})
  try {
    const standings = await Promise.all(nodes.map(async node => ({ node, standing: await node.admit('look') })))
    for (const { node, standing } of standings) {
      if (standing === 'new') continue
      const why = standing === 'voting' ? 'it votes already' : 'it came back with data of an earlier life'
      throw new RefusedError(
        `The servers of the quorum are not new: of ${node.name}, ${why}. One that joins or comes back votes by itself after its quarantine.`,
      )
    }
    await Promise.all(nodes.map(node => node.admit('admit')))
  } finally {
    for (const node of nodes) node.close()
  }
}
