import { describe, expect, it } from 'vitest'
import { editsFromAssignments } from './assignments.ts'
import { editsFromDocument } from './document.ts'

function set(...assignments: readonly string[]) {
  return editsFromAssignments(assignments, { areTexts: false })
}

describe('assignments', () => {
  it('are JSON where they can be, and text otherwise', () => {
    expect(
      set('web.port=8080', 'web.name=shop', 'web.isOn=true', 'web.list=[1,"a"]', 'web.old=null', 'web.empty='),
    ).toEqual([
      {
        kind: 'patch',
        namespace: 'web',
        value: { port: 8080, name: 'shop', isOn: true, list: [1, 'a'], old: null, empty: '' },
      },
    ])
  })

  it('are text alone when asked for', () => {
    expect(editsFromAssignments(['web.port=8080'], { areTexts: true })).toEqual([
      { kind: 'patch', namespace: 'web', value: { port: '8080' } },
    ])
  })

  it('to one namespace become one edit, however deep', () => {
    expect(set('web.limits.burst=5', 'db.host=a=b', 'web.limits.rate=1')).toEqual([
      { kind: 'patch', namespace: 'web', value: { limits: { burst: 5, rate: 1 } } },
      { kind: 'patch', namespace: 'db', value: { host: 'a=b' } },
    ])
  })

  it('keep line breaks', () => {
    expect(set('web.cert=a\nb\n')).toMatchObject([{ value: { cert: 'a\nb\n' } }])
  })

  it('are refused when a number would become another one', () => {
    for (const text of ['9007199254740993', '-9007199254740993', '{"a":[12345678901234567890]}']) {
      expect(() => set(`web.id=${text}`)).toThrow('is too large for a number of JSON: write it as text.')
    }
    expect(
      set('web.id="12345678901234567890"', 'web.max=9007199254740991', 'web.ratio=0.1', 'web.big=1e21'),
    ).toMatchObject([{ value: { id: '12345678901234567890', max: 9007199254740991, ratio: 0.1, big: 1e21 } }])
  })

  it('touch no prototype', () => {
    const [edit] = set('web.__proto__.polluted=1')
    expect(Object.keys((edit as { value: object }).value)).toEqual(['__proto__'])
    expect(({} as { polluted?: number }).polluted).toBeUndefined()
  })

  it('are refused without a path, a namespace or a value', () => {
    for (const text of ['web', 'web=1', 'web.=1', '.port=1', '=1', 'web..port=1', '']) {
      expect(() => set(text)).toThrow('Expected namespace.path=value')
    }
    expect(() => set()).toThrow('at least one')
  })

  it('are refused when they say one thing twice', () => {
    expect(() => set('web.port=1', 'web.port=2')).toThrow('Expected "port" once')
    expect(() => set('web.limits=1', 'web.limits.burst=2')).toThrow('as a whole or by its keys')
    expect(() => set('web.limits.burst=2', 'web.limits={}')).toThrow('Expected "limits" once')
  })
})

describe('a document', () => {
  it('is merged, or replaces what it names', () => {
    const document = '{"web": {"port": 1}, "old": null}'
    expect(editsFromDocument(document, { isReplacing: false })).toEqual([
      { kind: 'patch', namespace: 'web', value: { port: 1 } },
      { kind: 'remove', namespace: 'old' },
    ])
    expect(editsFromDocument(document, { isReplacing: true })).toMatchObject([{ kind: 'replace' }, { kind: 'remove' }])
  })

  it('is refused when it is none', () => {
    expect(() => editsFromDocument('{"web": {"id": 9007199254740993}}', { isReplacing: false })).toThrow(
      'write it as text',
    )
    for (const text of ['', '{', '[]', '1', 'null', '{}', '{"web": 1}', '{"web": []}']) {
      expect(() => editsFromDocument(text, { isReplacing: false })).toThrow(/^Expected /)
    }
  })
})
