import type { BackendLifecycle } from '../backend.ts'
import { InvalidArgumentError } from '../errors.ts'
import { show } from '../names.ts'
import type { RateCallOptions, RateDecision, RateQuota, RateStore, RateTake } from '../ports/rates.ts'
import { decisionOf, readVerdict } from '../rates/bucket.ts'
import { checkCallOptions, checkGiveBack, checkedTake, checkedTakes } from '../rates/checks.ts'
import type { RedisConnection } from './connection.ts'
import { hashTag, rateKey } from './keys.ts'
import type { ScriptWords } from './script-call.ts'
import { ScriptCall } from './script-call.ts'
import { giveBackRate, takeRates } from './scripts/take-rates.ts'
import { TakeSender, wordsOf } from './take-sender.ts'

/** What a `RedisRateStore` works with. */
export interface RedisRateParts {
  readonly lifecycle: BackendLifecycle
  /** One whose driver sends nothing again, and nothing late: a take that came twice would be taken twice. */
  readonly connection: RedisConnection
  readonly prefix: string
  readonly isInCluster: boolean
}

/** Rates in one Redis, or in one Cluster: a call is one script. */
export class RedisRateStore implements RateStore {
  readonly #lifecycle: BackendLifecycle
  readonly #connection: RedisConnection
  readonly #prefix: string
  readonly #isInCluster: boolean
  readonly #sender: TakeSender

  constructor({ lifecycle, connection, prefix, isInCluster }: RedisRateParts) {
    this.#lifecycle = lifecycle
    this.#connection = connection
    this.#prefix = prefix
    this.#isInCluster = isInCluster
    this.#sender = new TakeSender(connection, prefix, isInCluster)
  }

  async take(given: RateTake, options?: RateCallOptions): Promise<RateDecision> {
    const take = checkedTake(given)
    const timeoutMs = this.#checkedTimeoutMs(options)
    return await new Promise((resolve, reject) => this.#sender.send({ take, timeoutMs, resolve, reject }))
  }

  async takeAll(given: readonly RateTake[], options?: RateCallOptions): Promise<readonly RateDecision[]> {
    const takes = checkedTakes(given)
    const timeoutMs = this.#checkedTimeoutMs(options)
    if (this.#isInCluster) checkOneSlot(takes)
    const keys = takes.map(({ key }) => rateKey(this.#prefix, key))
    const words = takes.flatMap(wordsOf)
    const answers = (await this.#run({ script: takeRates, keys, words }, timeoutMs)) as readonly unknown[]
    return takes.map((take, index) => decisionOf(take, readVerdict(answers[index])))
  }

  async giveBack(key: string, quota: RateQuota, count: number, options?: RateCallOptions): Promise<void> {
    checkGiveBack(key, quota, count)
    checkCallOptions(options)
    this.#lifecycle.checkUsable()
    const words = [quota.limit, quota.periodMs, quota.burst, count]
    await this.#run({ script: giveBackRate, keys: [rateKey(this.#prefix, key)], words }, this.#timeoutMs(options))
  }

  #checkedTimeoutMs(options: RateCallOptions | undefined): number {
    checkCallOptions(options)
    this.#lifecycle.checkOpen()
    return this.#timeoutMs(options)
  }

  #timeoutMs(options: RateCallOptions | undefined): number {
    return options?.timeoutMs ?? this.#connection.commandTimeoutMs
  }

  #run(call: ScriptWords, timeoutMs: number): Promise<unknown> {
    return new Promise((answered, failed) => {
      this.#connection.run(new ScriptCall(this.#connection, call, { timeoutMs, answered, failed }))
    })
  }
}

function checkOneSlot(takes: readonly RateTake[]): void {
  const [first, ...others] = takes.map(({ key }) => key)
  const other = others.find(key => hashTag(key) !== hashTag(first ?? ''))
  if (other === undefined) return
  throw new InvalidArgumentError(
    'key',
    `Expected the keys of \`takeAll\` to share a hash tag, as "{tenant}:user" and "{tenant}:all" do, for Redis Cluster keeps ` +
      `others apart; got ${show(first)} and ${show(other)}.`,
  )
}
