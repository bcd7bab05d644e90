import type { Redis } from 'ioredis'
import type { BackendLifecycle } from '../backend.ts'
import { HoldfastError, InvalidArgumentError } from '../errors.ts'
import { show } from '../names.ts'
import type { RateCallOptions, RateDecision, RateQuota, RateStore, RateTake } from '../ports/rates.ts'
import { decisionOf, readVerdict } from '../rates/bucket.ts'
import { checkCallOptions, checkGiveBack, checkTake, checkTakes } from '../rates/checks.ts'
import type { Command } from './attempt.ts'
import type { RedisConnection } from './connection.ts'
import { isUnknownScript, unanswered } from './errors.ts'
import { hashTag, rateKey } from './keys.ts'
import type { Script } from './scripts/script.ts'
import { giveBackRate, takeRates } from './scripts/take-rates.ts'

/** What a `RedisRateStore` works with. */
export interface RedisRateParts {
  readonly lifecycle: BackendLifecycle
  /** One whose driver sends nothing again, and nothing late: a take that came twice would be taken twice. */
  readonly connection: RedisConnection
  readonly prefix: string
  readonly isInCluster: boolean
}

type Words = readonly (string | number)[]

/** Rates in one Redis, or in one Cluster: a call is one script. */
export class RedisRateStore implements RateStore {
  readonly #lifecycle: BackendLifecycle
  readonly #connection: RedisConnection
  readonly #prefix: string
  readonly #isInCluster: boolean

  constructor({ lifecycle, connection, prefix, isInCluster }: RedisRateParts) {
    this.#lifecycle = lifecycle
    this.#connection = connection
    this.#prefix = prefix
    this.#isInCluster = isInCluster
  }

  async take(take: RateTake, options?: RateCallOptions): Promise<RateDecision> {
    checkTake(take)
    this.#check(options)
    const { quota, cost, least = cost } = take
    const words = [quota.limit, quota.periodMs, quota.burst, cost, least]
    const answers = await this.#run(takeRates, [rateKey(this.#prefix, take.key)], words, options)
    return decisionOf(take, readVerdict((answers as readonly string[])[0]))
  }

  async takeAll(takes: readonly RateTake[], options?: RateCallOptions): Promise<readonly RateDecision[]> {
    checkTakes(takes)
    this.#check(options)
    if (this.#isInCluster) checkOneSlot(takes)
    const keys = takes.map(({ key }) => rateKey(this.#prefix, key))
    const words = takes.flatMap(({ quota, cost, least = cost }) => [
      quota.limit,
      quota.periodMs,
      quota.burst,
      cost,
      least,
    ])
    const answers = (await this.#run(takeRates, keys, words, options)) as readonly string[]
    return takes.map((take, index) => decisionOf(take, readVerdict(answers[index])))
  }

  async giveBack(key: string, quota: RateQuota, count: number, options?: RateCallOptions): Promise<void> {
    checkGiveBack(key, quota, count)
    checkCallOptions(options)
    this.#lifecycle.checkUsable()
    const words = [quota.limit, quota.periodMs, quota.burst, count]
    await this.#run(giveBackRate, [rateKey(this.#prefix, key)], words, options)
  }

  #check(options: RateCallOptions | undefined): void {
    checkCallOptions(options)
    this.#lifecycle.checkOpen()
  }

  #run(script: Script, keys: readonly string[], words: Words, options: RateCallOptions | undefined): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const failed = (error: unknown): void => {
        reject(error instanceof HoldfastError ? error : unanswered(this.#connection.address, error))
      }
      const timeoutMs = options?.timeoutMs ?? this.#connection.commandTimeoutMs
      this.#connection.run(new ScriptCall({ script, keys, words }, { timeoutMs, answered: resolve, failed }))
    })
  }
}

interface ScriptWords {
  readonly script: Script
  readonly keys: readonly string[]
  readonly words: Words
}

/** One call of a script, sent once. */
class ScriptCall implements Command<unknown> {
  readonly isIdempotent = false
  // No tokens rest on it, so it may go while grants are held back.
  readonly isNoGrant = true
  readonly timeoutMs: number
  readonly answered: (answer: unknown) => void
  readonly #call: ScriptWords
  readonly #failed: (error: unknown) => void
  #isOver = false

  constructor(call: ScriptWords, settings: Required<Pick<Command<unknown>, 'timeoutMs' | 'answered' | 'failed'>>) {
    this.#call = call
    this.timeoutMs = settings.timeoutMs
    this.answered = settings.answered
    this.#failed = settings.failed
  }

  // Not loaded beforehand: in a Cluster nobody knows which node will be asked. A node that does not know the script ran nothing.
  send(client: Redis): Promise<unknown> {
    const { script, keys, words } = this.#call
    return client.evalsha(script.sha, keys.length, ...keys, ...words).catch((error: unknown) => {
      if (this.#isOver || !isUnknownScript(error)) throw error
      return client.eval(script.lua, keys.length, ...keys, ...words)
    })
  }

  // Of whoever has the key, with a right that the script needs as well.
  probe(client: Redis): Promise<unknown> {
    return client.get(this.#call.keys[0] ?? '')
  }

  failed(error: unknown): void {
    this.#isOver = true
    this.#failed(error)
  }
}

function checkOneSlot(takes: readonly RateTake[]): void {
  const [first, ...others] = takes.map(({ key }) => key)
  const other = others.find(key => hashTag(key) !== hashTag(first ?? ''))
  if (other === undefined) return
  throw new InvalidArgumentError(
    'key',
    `Expected the keys of \`takeAll\` to share a hash tag, as "{tenant}:user" and "{tenant}:all" do, for Redis Cluster keeps others ` +
      `apart; got ${show(first)} and ${show(other)}.`,
  )
}
