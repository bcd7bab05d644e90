import { InvalidArgumentError, checkName, show } from '@holdfast/core'

/** A step of a template: text as it stands, or a value to be looked up. */
type Part =
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'value'
      /** As it was written, with its braces. */
      readonly shown: string
      /** Where it begins: at `this`, or at the argument of that index. */
      readonly from: 'this' | number
      readonly path: readonly string[]
    }

const PLACEHOLDER = /\{([^{}]*)\}/g
const REFERENCE = /^(this|0|[1-9]\d?)((?:\.[\p{ID_Start}_$0-9][\p{ID_Continue}$]*)*)$/u

/**
 * Makes names from the arguments of a call and its `this`: `stock:{0}`, `order:{1.id}`, `{this.tenant}:report`.
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT` for a template that can make no name; what it makes throws it as well, when a
 *   value is none.
 */
export function nameTemplate(template: string): (self: unknown, args: readonly unknown[]) => string {
  const parts = partsOf(template)
  return (self, args) => parts.map(part => textOf(part, template, self, args)).join('')
}

function partsOf(template: string): readonly Part[] {
  checkText(template)
  const parts: Part[] = []
  let end = 0
  for (const match of template.matchAll(PLACEHOLDER)) {
    parts.push(plain(template, template.slice(end, match.index)), reference(template, match[0], match[1] ?? ''))
    end = match.index + match[0].length
  }
  parts.push(plain(template, template.slice(end)))
  // With a letter in the place of each value: what is no name then never becomes one.
  checkName('name', template.replace(PLACEHOLDER, 'x'))
  return parts
}

function checkText(template: unknown): asserts template is string {
  if (typeof template === 'string') return
  throw new InvalidArgumentError('name', `Expected a template of a lock name to be a string, got ${show(template)}.`)
}

function plain(template: string, text: string): Part {
  if (!/[{}]/.test(text)) return { kind: 'text', text }
  throw new InvalidArgumentError(
    'name',
    `Expected the braces of the lock name ${show(template)} to be around a value, as in {0}: a function can make any other name.`,
  )
}

function reference(template: string, shown: string, inner: string): Part {
  const [, from = '', path = ''] = REFERENCE.exec(inner) ?? []
  if (from === '' || (from === 'this' && path === '')) {
    throw new InvalidArgumentError(
      'name',
      `Expected ${shown} of the lock name ${show(template)} to be an argument or a field of \`this\`, as {0}, {1.id} or {this.tenant}.`,
    )
  }
  return { kind: 'value', shown, from: from === 'this' ? from : Number(from), path: path.split('.').slice(1) }
}

function textOf(part: Part, template: string, self: unknown, args: readonly unknown[]): string {
  if (part.kind === 'text') return part.text
  let value: unknown = part.from === 'this' ? self : args[part.from]
  for (const step of part.path) {
    if (value === undefined || value === null) break
    value = (value as Readonly<Record<string, unknown>>)[step]
  }
  if (typeof value === 'string' && value !== '') return value
  if (typeof value === 'bigint' || Number.isFinite(value)) return String(value)
  throw new InvalidArgumentError(
    'name',
    `Expected ${part.shown} of the lock name ${show(template)} to be a text that is not empty, or a number, got ${show(value)}.`,
  )
}
