import { show } from '@holdfast/core'
import { Secret } from '@holdfast/config-client'
import { usageError, CommandError } from '../exit-codes.ts'
import { nearest } from '../nearest.ts'

/** A text with placeholders, read once. Made by `compileTemplate`. */
export interface TextTemplate {
  /** For messages. */
  readonly name: string
  readonly parts: readonly Part[]
}

/** What a template is filled from. */
export interface TemplateValues {
  readonly about: Readonly<Record<About, string>>
  readonly namespaces: Readonly<Record<string, unknown>>
}

/** What `{{ @name }}` says of the release itself. */
export type About = (typeof ABOUT)[number]

type Part =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'about'; readonly name: About }
  | { readonly kind: 'value'; readonly path: readonly string[]; readonly filter: Filter; readonly line: number }

type Filter = keyof typeof FILTERS

const ABOUT = ['app', 'env', 'revision', 'hash'] as const
const OPEN = '{{'
const PLACEHOLDER = /\{\{\s*(?:(?<literal>"(?:[^"\\\n]|\\.)*")|(?<path>[@\w.-]+)\s*(?:\|\s*(?<filter>\w+)\s*)?)\s*\}\}/y
// A line break inside a value could say another setting in the file: only `raw` lets it through.
const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f]/

const FILTERS = {
  /** A text, a number or a boolean, on one line. */
  text: (value: unknown): string => {
    const text = scalarText(value, 'json')
    if (CONTROL.test(text))
      throw new TypeError('has line breaks or control characters: use `| raw`, `| json` or `| shell`')
    return text
  },
  /** The same with whatever characters it has. */
  raw: (value: unknown): string => scalarText(value, 'json'),
  json: (value: unknown): string => JSON.stringify(value),
  /** One word of a POSIX shell. */
  shell: (value: unknown): string => {
    const text = scalarText(value, 'json')
    if (text.includes('\u0000')) throw new TypeError('has a NUL character, which no shell can be given')
    return `'${text.replaceAll("'", String.raw`'\''`)}'`
  },
}

/**
 * Reads `{{ namespace.path }}`, `{{ namespace.path | filter }}`, `{{ @revision }}` and `{{ "a literal" }}`.
 *
 * @throws {CommandError} `usage` for anything else between braces, with its line
 */
export function compileTemplate(text: string, name: string): TextTemplate {
  const parts: Part[] = []
  let at = 0
  for (;;) {
    const open = text.indexOf(OPEN, at)
    if (open === -1) break
    if (open > at) parts.push({ kind: 'text', text: text.slice(at, open) })
    PLACEHOLDER.lastIndex = open
    const match = PLACEHOLDER.exec(text)
    const line = text.slice(0, open).split('\n').length
    if (match === null) throw notUnderstood(text.slice(open, open + 40), `${name}:${line}`)
    parts.push(partOf(match.groups ?? {}, name, line))
    at = PLACEHOLDER.lastIndex
  }
  if (at < text.length) parts.push({ kind: 'text', text: text.slice(at) })
  return { name, parts }
}

/** The namespaces that a template reads. */
export function namespacesIn(template: TextTemplate): readonly string[] {
  return template.parts.flatMap(part => (part.kind === 'value' ? part.path.slice(0, 1) : []))
}

/**
 * Fills it. Secrets stand in the result: keep it where only its reader can read.
 *
 * @throws {CommandError} `refused` for a value that is missing, encrypted, or not what its filter takes
 */
export function renderTemplate(template: TextTemplate, values: TemplateValues): string {
  return template.parts
    .map(part => {
      switch (part.kind) {
        case 'text':
          return part.text
        case 'about':
          return values.about[part.name]
        case 'value':
          return filled(part, template.name, values)
      }
    })
    .join('')
}

function partOf(groups: Readonly<Record<string, string | undefined>>, name: string, line: number): Part {
  const { literal, path = '', filter = 'text' } = groups
  if (literal !== undefined) return { kind: 'text', text: literalOf(literal, `${name}:${line}`) }
  if (path.startsWith('@')) {
    const about = ABOUT.find(known => `@${known}` === path)
    if (about !== undefined && groups['filter'] === undefined) return { kind: 'about', name: about }
    throw usageError(`${name}:${line}: there is no ${path} with filters: there are @${ABOUT.join(', @')}, without.`)
  }
  const keys = path.split('.')
  if (keys.length < 2 || keys.includes('')) throw notUnderstood(path, `${name}:${line}`)
  return { kind: 'value', path: keys, filter: filterNamed(filter, `${name}:${line}`), line }
}

function literalOf(literal: string, where: string): string {
  try {
    return JSON.parse(literal) as string
  } catch {
    throw notUnderstood(literal, where)
  }
}

function filterNamed(name: string, where: string): Filter {
  const known = Object.keys(FILTERS) as Filter[]
  const found = known.find(filter => filter === name)
  if (found !== undefined) return found
  const near = nearest(name, known)
  const hint = near === undefined ? `there are ${known.join(', ')}` : `did you mean ${near}?`
  throw usageError(`${where}: unknown filter ${show(name)}: ${hint}`)
}

function notUnderstood(seen: string, where: string): Error {
  return usageError(
    `${where}: expected {{ namespace.path }}, {{ namespace.path | filter }} or {{ "text" }}, got ${show(seen)}.`,
  )
}

function filled(part: Extract<Part, { kind: 'value' }>, name: string, { namespaces }: TemplateValues): string {
  const value = valueAt(namespaces, part.path)
  const problem = problemOf(value, part.filter)
  const what = `${name}:${part.line}: ${part.path.join('.')}`
  if (problem !== undefined) throw new CommandError('refused', `${what} ${problem}.`)
  try {
    return FILTERS[part.filter](value)
  } catch (error) {
    throw new CommandError('refused', `${what} ${error instanceof Error ? error.message : String(error)}.`)
  }
}

function valueAt(root: unknown, path: readonly string[]): unknown {
  let value = root
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = revealed((value as Readonly<Record<string, unknown>>)[key])
  }
  return value
}

function revealed(value: unknown): unknown {
  return value instanceof Secret ? value.reveal() : value
}

function problemOf(value: unknown, filter: Filter): string | undefined {
  if (value === undefined) return 'is missing'
  if (value === null && filter !== 'json') return 'is null'
  if (typeof value === 'object' && value !== null && Object.hasOwn(value, '$secret')) {
    return 'is encrypted: name its namespace with --namespaces, and the keys in HOLDFAST_SECRET_KEYS'
  }
  return undefined
}

function scalarText(value: unknown, filter: string): string {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return String(value)
  throw new TypeError(`is ${Array.isArray(value) ? 'a list' : 'an object'}: use \`| ${filter}\``)
}
