import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Invariant } from '../namespace/namespace.ts'
import { defineNamespace } from '../namespace/namespace.ts'
import { invariantIssues } from './invariants.ts'

type Value = Readonly<{ timeoutMs: number }>

function messagesOf(invariants: readonly Invariant<Value>[], next: Value, previous?: Value): string[] {
  const namespace = defineNamespace('n', { schema: z.object({ timeoutMs: z.number() }), invariants })
  return invariantIssues(namespace, next, previous).map(({ message }) => message)
}

describe('invariantIssues', () => {
  const notFourfold: Invariant<Value> = (next, previous) =>
    previous === undefined || next.timeoutMs <= previous.timeoutMs * 4 || 'more than 4x'

  it('are none where all hold, as at first', () => {
    expect(messagesOf([notFourfold, () => true], { timeoutMs: 9000 })).toEqual([])
    expect(messagesOf([notFourfold], { timeoutMs: 400 }, { timeoutMs: 100 })).toEqual([])
  })

  it('give the reason that an invariant gives, or say which it was', () => {
    expect(messagesOf([notFourfold, () => false], { timeoutMs: 401 }, { timeoutMs: 100 })).toEqual([
      'more than 4x',
      'invariant 2 does not hold',
    ])
  })

  it('take one that throws, or answers neither, for one that does not hold', () => {
    const failing = (): never => {
      throw new Error('Oh no')
    }
    expect(messagesOf([failing, () => undefined as never], { timeoutMs: 1 })).toEqual([
      'invariant 1 threw: Oh no',
      'invariant 2 gave undefined, neither a boolean nor a reason',
    ])
  })
})
