import { InvalidArgumentError } from '@holdfast/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nameTemplate } from './name-template.ts'

describe('nameTemplate', () => {
  it.each([
    ['stock:{0}', ['42'], 'stock:42'],
    ['stock:{0}', [42], 'stock:42'],
    ['stock:{0}', [0], 'stock:0'],
    ['stock:{0}', [2n ** 70n], 'stock:1180591620717411303424'],
    ['{1}-{0}-{1}', ['a', 'b'], 'b-a-b'],
    ['order:{1.id}', ['a', { id: 7 }], 'order:7'],
    ['{0.customer.tenant.0}', [{ customer: { tenant: ['shop'] } }], 'shop'],
    ['{this.tenant}:report', [], 'acme:report'],
    ['{this.$own._id}', [], '5'],
    ['report', [], 'report'],
  ])('makes a name of %s and %o', (template, args, name) => {
    expect(nameTemplate(template)({ tenant: 'acme', $own: { _id: 5 } }, args)).toBe(name)
  })

  it.each([
    ['stock:{0}', [], 'undefined'],
    ['stock:{0}', [undefined], 'undefined'],
    ['stock:{0}', [null], 'null'],
    ['stock:{0}', [''], '""'],
    ['stock:{0}', [Number.NaN], 'NaN'],
    ['stock:{0}', [{}], 'an object'],
    ['stock:{0}', [true], 'true'],
  ])('refuses to make a name of %s and %o, and names both the value and the template', (template, args, got) => {
    const message = `Expected {0} of the lock name "stock:{0}" to be a text that is not empty, or a number, got ${got}.`
    expect(() => nameTemplate(template)(undefined, args)).toThrow(new InvalidArgumentError('name', message))
  })

  it.each([
    ['{1.id.x}', [0, {}]],
    ['{1.id}', [0]],
    ['{this.tenant}', []],
  ])('refuses a way that ends early: %s', (template, args) => {
    expect(() => nameTemplate(template)(undefined, args)).toThrow(`Expected ${template} of the lock name`)
  })

  it.each([
    '{',
    '}',
    'a{0',
    '{{0}}',
    '{}',
    '{a}',
    '{this}',
    '{-1}',
    '{100}',
    '{0.}',
    '{0..a}',
    '{0 }',
    '',
    'a\nb',
    '{0.a-b}',
  ])('refuses the template %s at once', template => {
    expect(() => nameTemplate(template)).toThrow(InvalidArgumentError)
  })

  it.each([undefined, null, 7, {}, ['a']])('refuses what is no text: %s', template => {
    expect(() => nameTemplate(template as never)).toThrow(InvalidArgumentError)
  })

  it('never makes a name of a value that is missing', () => {
    const value = fc.oneof(fc.constantFrom(undefined, null, ''), fc.string(), fc.integer())
    let names = 0
    fc.assert(
      fc.property(fc.array(value, { maxLength: 3 }), args => {
        const isWhole = [args[0], args[1]].every(one => one !== undefined && one !== null && one !== '')
        const name = made('{0}:{1}', args)
        expect(name).toBe(isWhole ? `${args[0]}:${args[1]}` : undefined)
        if (isWhole) names += 1
      }),
      { seed: 5 },
    )
    expect(names).toBeGreaterThan(10)
  })
})

function made(template: string, args: readonly unknown[]): string | undefined {
  try {
    return nameTemplate(template)(undefined, args)
  } catch {
    return undefined
  }
}
