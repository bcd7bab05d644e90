import type { Redis } from 'ioredis'
import type { BackendLifecycle } from '../backend.ts'
import { ClosedError, InvariantError, RefusedError, UnknownOutcomeError } from '../errors.ts'
import { checkBegin, checkCompletion, checkLeaseMs, checkRun } from '../idempotency/checks.ts'
import type { BeginOutcome, BeginRequest, Completion, IdempotencyStore, RunRef } from '../ports/idempotency.ts'
import type { Random } from '../random.ts'
import { randomId } from '../records/revision.ts'
import type { RedisConnection } from './connection.ts'
import { isUnknownScript } from './errors.ts'
import { runKey } from './keys.ts'
import { beginRun, completeRun, releaseRun, renewRun } from './scripts/idempotency-steps.ts'
import type { Script } from './scripts/script.ts'

/** What a `RedisIdempotencyStore` works with. */
export interface RedisIdempotencyParts {
  readonly random: Random
  readonly lifecycle: BackendLifecycle
  readonly connection: RedisConnection
  readonly prefix: string
}

type Word = string | Buffer

/** Runs of idempotency keys in one Redis, or in one Cluster: one hash each, one script and one round trip a step. */
export class RedisIdempotencyStore implements IdempotencyStore {
  readonly #parts: RedisIdempotencyParts

  constructor(parts: RedisIdempotencyParts) {
    this.#parts = parts
  }

  newOwner(): string {
    return randomId(this.#parts.random)
  }

  async begin(request: BeginRequest): Promise<BeginOutcome> {
    checkBegin(request)
    const { lifecycle, connection } = this.#parts
    lifecycle.checkOpen()
    const { key, fingerprint, owner, leaseMs, onLost, keepMs } = request
    const words = [owner, fingerprint, String(leaseMs), onLost === 'rerun' ? '1' : '0', String(keepMs)]
    // A grant: held back while the clock of a new server may be behind that of the old one.
    return outcomeOf(await connection.within(client => this.#send(client, beginRun, { key, words })))
  }

  async renew(run: RunRef, leaseMs: number): Promise<'kept' | 'stale'> {
    checkRun(run)
    checkLeaseMs(leaseMs)
    return (await this.#end(renewRun, run, [String(leaseMs)])) ? 'kept' : 'stale'
  }

  async complete(run: RunRef, completion: Completion): Promise<'kept' | 'stale'> {
    checkRun(run)
    checkCompletion(completion)
    const { result, failed, keepMs } = completion
    // A copy: it may be sent later, or again, when the caller has gone on using his.
    const words = [failed ? 'x' : 'd', String(keepMs), Buffer.from(result)]
    let timesSent = 0
    try {
      return (await this.#end(completeRun, run, words, () => (timesSent += 1))) ? 'kept' : 'stale'
    } catch (cause) {
      // It is known to have changed nothing when it was never sent, or when the server refused all that was.
      const isKnown = timesSent === 0 || (timesSent === 1 && cause instanceof RefusedError)
      if (isKnown || cause instanceof ClosedError) throw cause
      throw new UnknownOutcomeError(
        `The result of "${run.key}" was sent, and no answer came: it may be kept. It may be sent again.`,
        { cause },
      )
    }
  }

  async release(run: RunRef): Promise<'released' | 'stale'> {
    checkRun(run)
    return (await this.#end(releaseRun, run, [])) ? 'released' : 'stale'
  }

  async #end(
    script: Script,
    { key, owner, fence }: RunRef,
    words: readonly Word[],
    sending: () => void = () => {},
  ): Promise<boolean> {
    const { lifecycle, connection } = this.#parts
    lifecycle.checkUsable()
    const answer = await connection.ask(client => {
      sending()
      return this.#send(client, script, { key, words: [owner, String(fence), ...words] })
    })
    return textOf(answer) === '1'
  }

  // Not loaded beforehand: in a Cluster nobody knows which node will be asked. The answer comes as bytes, for a result is bytes.
  async #send(
    client: Redis,
    { sha, lua }: Script,
    { key, words }: { readonly key: string; readonly words: readonly Word[] },
  ): Promise<unknown> {
    const rest = [1, runKey(this.#parts.prefix, key), ...words] as const
    try {
      return await client.callBuffer('evalsha', sha, ...rest)
    } catch (error) {
      if (!isUnknownScript(error)) throw error
      return await client.callBuffer('eval', lua, ...rest)
    }
  }
}

/** As `scripts/idempotency-steps.ts` says. */
function outcomeOf(answer: unknown): BeginOutcome {
  const [word, ...rest] = answer as readonly unknown[]
  const kind = textOf(word)
  switch (kind) {
    case 'run':
      return { kind, fence: BigInt(textOf(rest[0])) }
    case 'in-flight':
      return { kind, leaseLeftMs: Number(textOf(rest[0])) }
    case 'done': {
      const [failed, completedAtMs, result] = rest
      const bytes = new Uint8Array(result as Buffer)
      return { kind, result: bytes, failed: textOf(failed) === '1', completedAtMs: Number(textOf(completedAtMs)) }
    }
    case 'conflict':
    case 'lost':
      return { kind }
    default:
      throw new InvariantError(`The begin step answered ${kind}.`)
  }
}

// A number, or bytes; with the driver's option `stringNumbers` a number is text.
function textOf(word: unknown): string {
  return String(word)
}
