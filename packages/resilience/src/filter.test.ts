import * as cockatiel from 'cockatiel'
import { describe, expect, it } from 'vitest'
import { rejected } from './errors.ts'
import { filterOf } from './filter.ts'

describe('what counts as a failure', () => {
  it('is every error but refusals, and no result, when nobody says', () => {
    const { isFailure, isFailedResult } = filterOf(undefined)
    expect(isFailure(new Error('down'))).toBe(true)
    expect(isFailure(rejected({ policy: 'p', rule: 'p', ruleVersion: 1, reason: 'shed' }))).toBe(false)
    expect(isFailedResult({ status: 500 })).toBe(false)
  })

  it('is what a function or a filter of cockatiel says', () => {
    expect(filterOf(error => error instanceof TypeError).isFailure(new TypeError('x'))).toBe(true)
    expect(filterOf(error => error instanceof TypeError).isFailure(new RangeError('x'))).toBe(false)
    const filter = filterOf(cockatiel.handleType(TypeError).orWhenResult(result => result === 5))
    expect([filter.isFailure(new TypeError('x')), filter.isFailure(new Error('x'))]).toEqual([true, false])
    expect([filter.isFailedResult(5), filter.isFailedResult(6)]).toEqual([true, false])
  })

  it('is every error that a function of a user fails on', () => {
    const broken = filterOf(() => {
      throw new Error('broken')
    })
    expect(broken.isFailure(new Error('x'))).toBe(true)
  })

  it.each([
    [TypeError, 'got the class TypeError: write error => error instanceof TypeError.'],
    [Error, 'got the class Error'],
    [{}, 'got an object'],
    [5, 'got 5'],
  ])('is nothing that %o could say', (handle, message) => {
    expect(() => filterOf(handle as never)).toThrow(message)
  })
})
