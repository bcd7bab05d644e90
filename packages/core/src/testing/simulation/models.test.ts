import { describe, expect, it } from 'vitest'
import type { LockModel, LockStep } from './models.ts'
import {
  checkLockSteps,
  fencedMutexModel,
  mutexModel,
  permitsModel,
  readWriteModel,
  reentrantFencedMutexModel,
  reentrantMutexModel,
} from './models.ts'

const at = (kind: LockStep['kind'], atMs: number, owner: string, facts: Partial<LockStep> = {}): LockStep => ({
  kind,
  atMs,
  resource: 'r',
  owner,
  ...facts,
})

const take = (atMs: number, owner: string, facts?: Partial<LockStep>): LockStep => at('acquire', atMs, owner, facts)
const give = (atMs: number, owner: string, facts?: Partial<LockStep>): LockStep => at('release', atMs, owner, facts)
const whysOf = (model: LockModel, ...steps: LockStep[]): string[] =>
  checkLockSteps(steps, model).map(({ step, why }) => `${step.atMs}: ${why}`)

describe('Any model', () => {
  it('follows each resource by itself', () => {
    const steps = [take(1, 'a', { resource: 'r' }), take(2, 'b', { resource: 's' })]
    expect(checkLockSteps(steps, mutexModel)).toEqual([])
  })

  it('goes on after a violation as if the step had been taken', () => {
    expect(whysOf(mutexModel, take(1, 'a'), take(2, 'b'), give(3, 'b'), take(4, 'c'))).toEqual([
      '2: b holds it while a does',
    ])
  })
})

describe('The mutex model', () => {
  it('allows one after another', () => {
    expect(whysOf(mutexModel, take(1, 'a'), give(2, 'a'), take(3, 'b'), give(4, 'b'))).toEqual([])
  })

  it('refuses a second holder, a second hold, and a release by another or by nobody', () => {
    expect(whysOf(mutexModel, take(1, 'a'), take(2, 'b'))).toEqual(['2: b holds it while a does'])
    expect(whysOf(mutexModel, take(1, 'a'), take(2, 'a'))).toEqual(['2: a holds it 2 times, of 1'])
    expect(whysOf(mutexModel, take(1, 'a'), give(2, 'b'))).toEqual(['2: b gives back what a holds'])
    expect(whysOf(mutexModel, give(1, 'a'))).toEqual(['1: a gives back what nobody holds'])
  })
})

describe('The re-entrant mutex model', () => {
  it('frees the lock with the last release of its owner', () => {
    const model = reentrantMutexModel(2)
    expect(whysOf(model, take(1, 'a'), take(2, 'a'), give(3, 'a'), give(4, 'a'), take(5, 'b'))).toEqual([])
    expect(whysOf(model, take(1, 'a'), take(2, 'a'), give(3, 'a'), take(4, 'b'))).toEqual([
      '4: b holds it while a does',
    ])
  })

  it('refuses one hold too many', () => {
    expect(whysOf(reentrantMutexModel(2), take(1, 'a'), take(2, 'a'), take(3, 'a'))).toEqual([
      '3: a holds it 3 times, of 2',
    ])
    expect(whysOf(reentrantMutexModel(), take(1, 'a'), take(2, 'a'), take(3, 'a'))).toEqual([])
  })
})

describe('The fenced mutex model', () => {
  it('refuses a token that is not greater', () => {
    const steps = [take(1, 'a', { token: 5n }), give(2, 'a')]
    expect(whysOf(fencedMutexModel, ...steps, take(3, 'b', { token: 6n }))).toEqual([])
    expect(whysOf(fencedMutexModel, ...steps, take(3, 'b', { token: 5n }))).toEqual(['3: b has the token 5 after 5'])
    expect(whysOf(fencedMutexModel, ...steps, take(3, 'b', { token: 4n }))).toEqual(['3: b has the token 4 after 5'])
    expect(whysOf(mutexModel, ...steps, take(3, 'b', { token: 4n }))).toEqual([])
  })
})

describe('The re-entrant fenced mutex model', () => {
  it('wants the same token while one holds it', () => {
    const model = reentrantFencedMutexModel()
    const outer = take(1, 'a', { token: 5n })
    expect(whysOf(model, outer, take(2, 'a', { token: 5n }))).toEqual([])
    expect(whysOf(model, outer, take(2, 'a', { token: 6n }))).toEqual(['2: a holds it again with the token 6, not 5'])
    expect(whysOf(model, outer, give(2, 'a'), take(3, 'b', { token: 5n }))).toEqual(['3: b has the token 5 after 5'])
  })
})

describe('The model of permits', () => {
  const model = permitsModel(2)
  const two = [take(1, 'a', { slot: 0 }), take(2, 'b', { slot: 1 })]

  it('allows as many as there are', () => {
    expect(whysOf(model, ...two, give(3, 'a', { slot: 0 }), take(4, 'c', { slot: 0 }))).toEqual([])
  })

  it('refuses one too many, two with one slot, and a release of none', () => {
    expect(whysOf(model, ...two, take(3, 'c', { slot: 2 }))).toEqual(['3: c holds beside 2 others, of 2 permits'])
    expect(whysOf(model, take(1, 'a', { slot: 0 }), take(2, 'b', { slot: 0 }))).toEqual(['2: b has the slot 0 of a'])
    expect(whysOf(model, give(1, 'a', { slot: 0 }))).toEqual(['1: a gives back a permit that it does not hold'])
  })
})

describe('The model of readers and writers', () => {
  const reader = (atMs: number, owner: string, token: bigint): LockStep => take(atMs, owner, { mode: 'read', token })
  const writer = (atMs: number, owner: string, token: bigint): LockStep => take(atMs, owner, { mode: 'write', token })

  it('allows readers beside readers, and a writer alone', () => {
    const readers = [reader(1, 'a', 0n), reader(2, 'b', 0n)]
    const gone = [give(3, 'a', { mode: 'read', token: 0n }), give(4, 'b', { mode: 'read', token: 0n })]
    expect(whysOf(readWriteModel, ...readers, ...gone, writer(5, 'c', 1n))).toEqual([])
  })

  it('refuses a writer beside readers, anybody beside a writer, and a release of what is not held', () => {
    expect(whysOf(readWriteModel, reader(1, 'a', 0n), writer(2, 'b', 1n))).toEqual(['2: b writes beside a, who reads'])
    expect(whysOf(readWriteModel, writer(1, 'a', 1n), reader(2, 'b', 1n))).toEqual(['2: b reads beside a, who writes'])
    expect(whysOf(readWriteModel, writer(1, 'a', 1n), writer(2, 'b', 2n))).toEqual(['2: b writes beside a, who writes'])
    expect(whysOf(readWriteModel, give(1, 'a'))).toEqual(['1: a gives back what it does not hold'])
  })

  it('refuses a writer whose token is not greater, and a reader with an older one than the last writer', () => {
    const written = [writer(1, 'a', 5n), give(2, 'a', { mode: 'write', token: 5n })]
    expect(whysOf(readWriteModel, ...written, writer(3, 'b', 5n))).toEqual(['3: b has the token 5 after 5'])
    expect(whysOf(readWriteModel, ...written, reader(3, 'b', 5n))).toEqual([])
    expect(whysOf(readWriteModel, ...written, reader(3, 'b', 4n))).toEqual(['3: b has the token 4 after 5'])
  })
})
