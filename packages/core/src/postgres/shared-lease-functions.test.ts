import { randomUUID } from 'node:crypto'
import type { PostgresServer } from '@holdfast/scripts/servers'
import { startPostgres } from '@holdfast/scripts/servers'
import * as fc from 'fast-check'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { postgresBackend } from './index.ts'
import type { ModelNews, ModelRequest } from './shared-lease-model.fixture.ts'
import { SharedLeaseModel } from './shared-lease-model.fixture.ts'

// Time in the model counts in these, and no run lasts for half of one: so what remains can be compared.
const UNIT_MS = 1_000_000
const CLAIM = 2

let server: PostgresServer
let client: Client
const heard: string[] = []

beforeAll(async () => {
  server = await startPostgres()
  {
    await using owner = postgresBackend({ url: server.url })
    await owner.ready()
  }
  client = new Client({ connectionString: server.url })
  await client.connect()
  client.on('notification', ({ payload = '' }) => heard.push(payload))
  await client.query('LISTEN holdfast_p')
})

afterAll(async () => {
  await client.end()
  await server.stop()
})

/** A step, by numbers that stand for those who have taken part so far. */
type Step =
  | { readonly kind: 'acquire'; readonly who: number; readonly mayQueue: boolean; readonly wish: Wish }
  | { readonly kind: 'release' | 'expire'; readonly who: number }
  | { readonly kind: 'renew'; readonly who: number; readonly ttl: number }
  | { readonly kind: 'downgrade'; readonly who: number; readonly as: number; readonly ttl: number }

type Wish = Omit<ModelRequest, 'request'>

/** What a step answered, whom it told what, and how it left the resource; in words. */
interface Taken {
  readonly answer: string
  readonly handed: readonly string[]
  readonly told: readonly string[]
  readonly holders: readonly string[]
  readonly waiters: readonly string[]
}

const who = fc.nat({ max: 7 })
const as = fc.integer({ min: 8, max: 9 })
const ttl = fc.integer({ min: 1, max: 5 })

function steps(wish: fc.Arbitrary<Wish>, downgrades: number): fc.Arbitrary<readonly Step[]> {
  const acquire = fc.record({ kind: fc.constant('acquire' as const), who, mayQueue: fc.boolean(), wish })
  const step = fc.oneof(
    { weight: 6, arbitrary: acquire },
    { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('release' as const, 'expire' as const), who }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('renew' as const), who, ttl }) },
    { weight: downgrades, arbitrary: fc.record({ kind: fc.constant('downgrade' as const), who, as, ttl }) },
  )
  return fc.array(step, { maxLength: 40, size: 'max' })
}

const readOrWrite: fc.Arbitrary<Wish> = fc.record({
  mode: fc.constantFrom('read' as const, 'read' as const, 'write' as const),
  capacity: fc.constant(1),
  ttl,
})
const permit: fc.Arbitrary<Wish> = fc.record({
  mode: fc.constant('permit' as const),
  capacity: fc.integer({ min: 1, max: 4 }),
  ttl,
})

async function ask(call: string, values: readonly unknown[]): Promise<string> {
  const { rows } = await client.query<string[]>({
    text: `SELECT holdfast.${call}`,
    values: [...values],
    rowMode: 'array',
  })
  return String(rows[0]?.[0])
}

/** One resource on the server, asked as the model is. Its tokens are told as the count of those that were given out before. */
class Served {
  readonly #kind: string
  readonly #resource = randomUUID()
  readonly #tokens: string[] = []
  readonly #isFirstReader: boolean

  /** The token of a first reader is that of nobody. */
  constructor(kind: string, isFirstReader: boolean) {
    this.#kind = kind
    this.#isFirstReader = isFirstReader
  }

  async take(step: Step): Promise<Taken> {
    heard.length = 0
    const answer = await this.#answer(step)
    // Of several that were given out in one step, the one who asked may have any. What is told to the first is a short number.
    const grants = [...(answer.startsWith('granted') ? [answer] : []), ...heard].map(text => text.split(' ')[1] ?? '')
    for (const token of grants.filter(({ length }) => length > 15).sort()) this.#number(token)
    return { answer: this.#read(answer), ...this.#news(), ...(await this.#state()) }
  }

  async #state(): Promise<Pick<Taken, 'holders' | 'waiters'>> {
    const { rows: holders } = await client.query<{ request: string; mode: string; slot: number | null; token: string }>(
      `SELECT request, mode, slot, token FROM holdfast.shared_lease_holders
        WHERE resource = $1 AND ends_at > clock_timestamp() ORDER BY request`,
      [this.#resource],
    )
    const { rows: waiters } = await client.query<{ request: string }>(
      'SELECT request FROM holdfast.shared_lease_waiters WHERE resource = $1 ORDER BY ticket',
      [this.#resource],
    )
    return {
      holders: holders.map(({ request, mode, slot, token }) => `${request} ${mode} ${slot} ${this.#number(token)}`),
      waiters: waiters.map(({ request }) => request),
    }
  }

  async #answer(step: Step): Promise<string> {
    const request = `p.${step.who}`
    switch (step.kind) {
      case 'acquire': {
        const { mode, capacity, ttl: units } = step.wish
        const values = [this.#kind, this.#resource, request, mode, capacity, units * UNIT_MS]
        const claim = step.mayQueue ? CLAIM * UNIT_MS : 0
        return await ask('acquire_shared_lease_v1($1, $2, $3, $4, $5, $6, $7, $8, NULL, NULL, 1000)', [
          ...values,
          claim,
          '{}',
        ])
      }
      case 'release':
        return await ask('release_shared_lease_v1($1, $2, $3, 1000)', [this.#kind, this.#resource, request])
      case 'renew': {
        const values = [this.#kind, [this.#resource], [request], [step.ttl * UNIT_MS]]
        return await ask('renew_shared_leases_v1($1, $2, $3, $4, 1000)', values)
      }
      case 'downgrade': {
        const values = [this.#resource, request, `p.${step.as}`, step.ttl * UNIT_MS, '{}']
        return await ask('downgrade_lease_v1($1, $2, $3, $4, $5, 1000)', values)
      }
      case 'expire':
        await client.query(
          'UPDATE holdfast.shared_lease_holders SET ends_at = clock_timestamp() WHERE resource = $1 AND request = $2',
          [this.#resource, request],
        )
        return ''
    }
  }

  #read(answer: string): string {
    const [kind, ...rest] = answer.split(' ')
    if (kind === 'granted') return `granted ${this.#number(rest[0])} ${rest[1] ?? 'none'}`
    if (kind !== 'queued') return answer
    const [, ms, position, isNew] = rest.map(Number)
    return `queued, ${position} before it, ${Math.round(Number(ms) / UNIT_MS)} to wait, ${isNew === 1 ? 'new' : 'known'}`
  }

  #news(): Pick<Taken, 'handed' | 'told'> {
    const words = heard.map(payload => payload.split(' '))
    return {
      handed: words
        .filter(({ length }) => length > 2)
        .map(([request, token, , , slot = 'none']) => `${request} ${slot} ${this.#number(token)}`)
        .sort(),
      told: words
        .filter(({ length }) => length === 2)
        .map(([request, ms]) => `${request} ${Math.round(Number(ms) / UNIT_MS)}`),
    }
  }

  // 0 for readers before whom nobody wrote. Tokens must grow: so a new one is the greatest so far.
  #number(token = ''): number {
    if (this.#tokens.length === 0) this.#tokens.push(this.#isFirstReader ? token : '0')
    if (this.#tokens.includes(token)) return this.#tokens.indexOf(token)
    if (BigInt(token) <= BigInt(this.#tokens.at(-1) ?? 0)) return NaN
    return this.#tokens.push(token) - 1
  }
}

function answerOf(
  model: SharedLeaseModel,
  step: Step,
): { readonly answer: string; readonly news?: ModelNews | undefined } {
  const request = `p.${step.who}`
  switch (step.kind) {
    case 'acquire':
      return model.acquire({ request, ...step.wish }, step.mayQueue)
    case 'release':
      return model.release(request)
    case 'renew':
      return model.renew(request, step.ttl)
    case 'downgrade':
      return model.downgrade(request, { request: `p.${step.as}`, mode: 'read', capacity: 1, ttl: step.ttl })
    case 'expire':
      model.expire(request)
      return { answer: '' }
  }
}

function takenBy(model: SharedLeaseModel, step: Step): Taken {
  model.tick()
  const { answer, news } = answerOf(model, step)
  const { handed = [], told } = news ?? {}
  return {
    answer,
    handed: handed.map(({ request, slot = 'none', token }) => `${request} ${slot} ${token}`).sort(),
    told: told === undefined ? [] : [`${told.request} ${told.wait}`],
    holders: model.holders
      .map(({ request, mode, slot, token }) => `${request} ${mode} ${slot ?? null} ${token}`)
      .sort(),
    waiters: model.waiters.map(({ request }) => request),
  }
}

describe('The steps of shared leases', () => {
  it.each([
    ['read-write', steps(readOrWrite, 2)],
    ['permits', steps(permit, 0)],
  ] as const)('of %s answer, hand over and tell as the model does, whatever comes', async (kind, histories) => {
    const compare = async (all: readonly Step[]): Promise<void> => {
      const first = all.find(step => step.kind === 'acquire')
      const served = new Served(kind, first?.kind === 'acquire' && first.wish.mode === 'read')
      const model = new SharedLeaseModel(CLAIM)
      for (const step of all) {
        const should = takenBy(model, step)
        expect({ step, ...(await served.take(step)) }).toEqual({ step, ...should })
      }
    }
    await fc.assert(fc.asyncProperty(histories, compare), { numRuns: 60 })
  })
})
