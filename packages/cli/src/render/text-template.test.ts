import { Secret } from '@holdfast/config-client'
import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { compileTemplate, namespacesIn, renderTemplate } from './text-template.ts'

const NAMESPACES = {
  web: { port: 8080, name: 'shop', isOn: false, hosts: ['a', 'b'], limits: { burst: 5 }, none: null },
  db: { password: new Secret(`it's "quoted" $HOME`), cert: 'line 1\nline 2\n', key: { $secret: { keyId: 'k' } } },
}
const ABOUT = { app: 'shop', env: 'prod', revision: '42', hash: 'abc' }

function render(text: string): string {
  return renderTemplate(compileTemplate(text, 'in.conf'), { about: ABOUT, namespaces: NAMESPACES })
}

describe('a template', () => {
  it('fills in texts, numbers, booleans, items of lists and nested values', () => {
    expect(render('listen {{ web.port }};{{web.name}} {{ web.isOn }} {{ web.hosts.1 }} {{ web.limits.burst }}\n')).toBe(
      'listen 8080;shop false b 5\n',
    )
  })

  it('leaves everything else as it is', () => {
    const text = 'a { b } $1 \\1 }} $& é\r\n'
    expect(render(text)).toBe(text)
    expect(render('')).toBe('')
  })

  it('tells of the release', () => {
    expect(render('# {{ @app }} {{ @env }} {{ @revision }} {{ @hash }}')).toBe('# shop prod 42 abc')
  })

  it('writes braces as a literal', () => {
    expect(render('{{ "{{" }} x {{ "}}" }}')).toBe('{{ x }}')
  })

  it('writes JSON', () => {
    expect(render('{{ web.hosts | json }} {{ web.limits | json }} {{ web.none | json }} {{ web.name | json }}')).toBe(
      '["a","b"] {"burst":5} null "shop"',
    )
  })

  it('quotes for a shell so that the shell gives the value back', () => {
    const script = render('printf %s {{ db.password | shell }}')
    expect(execFileSync('sh', ['-c', script], { encoding: 'utf8' })).toBe(`it's "quoted" $HOME`)
  })

  it('refuses a missing value with its line', () => {
    expect(() => render('a\nb {{ web.prot }}')).toThrow('in.conf:2: web.prot is missing.')
    expect(() => render('{{ wbe.port }}')).toThrow('in.conf:1: wbe.port is missing.')
    expect(() => render('{{ web.port.x }}')).toThrow('web.port.x is missing')
    expect(() => render('{{ web.none }}')).toThrow('web.none is null')
  })

  it('takes nothing that a value inherits', () => {
    expect(() => render('{{ web.constructor }}')).toThrow('web.constructor is missing')
    expect(() => render('{{ web.name.length.x }}')).toThrow('is missing')
  })

  it('lets a value of several lines through only as raw', () => {
    expect(() => render('{{ db.cert }}')).toThrow('db.cert has line breaks or control characters: use `| raw`')
    expect(render('{{ db.cert | raw }}')).toBe('line 1\nline 2\n')
  })

  it('refuses objects and lists but as JSON', () => {
    expect(() => render('{{ web.limits }}')).toThrow('web.limits is an object: use `| json`')
    expect(() => render('{{ web.hosts | shell }}')).toThrow('web.hosts is a list: use `| json`')
  })

  it('refuses what is still encrypted', () => {
    expect(() => render('{{ db.key | json }}')).toThrow('db.key is encrypted: name its namespace with --namespaces')
  })

  it('refuses what it does not understand with its line, before anything is filled in', () => {
    expect(() => compileTemplate('\n\n{{#each web.hosts}}', 'in.conf')).toThrow(
      'in.conf:3: expected {{ namespace.path }}',
    )
    expect(() => compileTemplate('{{ web }}', 'in.conf')).toThrow('in.conf:1: expected')
    expect(() => compileTemplate('{{ web.port ', 'in.conf')).toThrow('in.conf:1: expected')
    expect(() => compileTemplate('{{ web.port | jsn }}', 'in.conf')).toThrow('unknown filter "jsn": did you mean json?')
    expect(() => compileTemplate('{{ @version }}', 'in.conf')).toThrow('there are @app, @env, @revision, @hash')
  })

  it('names the namespaces that it reads', () => {
    expect(namespacesIn(compileTemplate('{{ web.port }} {{ db.cert | raw }} {{ @app }}', 't'))).toEqual(['web', 'db'])
  })
})
