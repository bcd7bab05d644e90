import { InvalidArgumentError, checkGivenKeys, show } from '@holdfast/core'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { JsonObject } from '../release/json.ts'
import { checkSchema } from './check-schema.ts'
import type { Edit } from './edit.ts'
import { checkNamespaceName } from './naming.ts'
import type { Secret } from './secret.ts'
import type { Template } from './template.ts'

/** A schema of zod, valibot, arktype or any other library that follows Standard Schema, for an object. */
export type ObjectSchema = StandardSchemaV1<unknown, object>

/** The keys of what a schema gives out. */
export type KeyOf<Schema extends ObjectSchema> = keyof StandardSchemaV1.InferOutput<Schema> & string

/** What the fields of a namespace are. */
export interface NamespaceOptions<
  Schema extends ObjectSchema,
  SecretKey extends KeyOf<Schema> = never,
  OptionKey extends KeyOf<Schema> = never,
> {
  /** Parses what was published, in the publisher and in every instance. Defaults come from it. Must be synchronous. */
  readonly schema: Schema
  /** Fields that only a restart can change: a new value is reported as pending, and the old one stays. @default [] */
  readonly static?: readonly KeyOf<Schema>[]
  /** Fields that are encrypted in the store and are a `Secret` here. The schema sees the plain value. @default [] */
  readonly secrets?: readonly SecretKey[]
  /**
   * Fields that name a service which this one depends on. An address (a URL, `host:port`, an IP) is refused: where a service is,
   * is discovery's to say, and changes without a release.
   *
   * @default []
   */
  readonly dependencies?: readonly KeyOf<Schema>[]
  /** Fields that are chosen from a template of a layer below: published as the id of an option, read as what the option says. */
  readonly options?: Readonly<Record<OptionKey, Template>>
  /** What must hold between the values now and the next ones: false or a reason refuses the release. `previous` is undefined at first. */
  readonly invariants?: readonly Invariant<ValueOf<Schema, SecretKey>>[]
  /** The size of the namespace as canonical JSON, in bytes, 1 to 524,288. @default 65536 */
  readonly maxBytes?: number
}

/** A rule over two states of a namespace. */
export type Invariant<Value> = (next: Value, previous: Value | undefined) => boolean | string

/** What a service reads: frozen, with secrets wrapped. */
export type ValueOf<Schema extends ObjectSchema, SecretKey extends string = never> = Readonly<{
  [Key in keyof StandardSchemaV1.InferOutput<Schema>]: Key extends SecretKey
    ? SecretOf<StandardSchemaV1.InferOutput<Schema>[Key]>
    : StandardSchemaV1.InferOutput<Schema>[Key]
}>

// A secret that is not there is no `Secret` of undefined.
type SecretOf<T> = undefined extends T ? Secret<Exclude<T, undefined>> | undefined : Secret<T>

/** What a publisher writes: the schema's input, with the id of an option where a template is. */
export type InputOf<Schema extends ObjectSchema, OptionKey extends string = never> = {
  readonly [Key in keyof StandardSchemaV1.InferInput<Schema>]: Key extends OptionKey
    ? string
    : StandardSchemaV1.InferInput<Schema>[Key]
}

/** Some of it, object by object; null takes a key away, and an array is said as a whole. */
export type PatchOf<Input> = {
  readonly [Key in keyof Input]?: PatchedValue<Input[Key]> | null
}

type PatchedValue<T> = T extends readonly unknown[] ? T : T extends object ? PatchOf<T> : T

/** Values that stand above what was published, in this process alone: for tests, for development, for an emergency. */
export interface Override {
  readonly namespace: string
  readonly value: JsonObject
}

/** A named, typed part of a service's configuration. Made by `defineNamespace`. */
export interface Namespace<Value = unknown, Input = unknown> {
  readonly name: string
  readonly definition: NamespaceDefinition
  /** Changes some of it, object by object; an array is one value. */
  patch(value: PatchOf<Input>): Edit
  /** Says all of it anew. */
  replace(value: Input): Edit
  /** Takes it out of the release, so that the schema's defaults remain. */
  remove(): Edit
  /** For `openConfig({ overrides })`. */
  override(value: PatchOf<Input>): Override
  /** For types alone: it has no value. */
  readonly '~value'?: Value
}

/** A namespace as the rest of the package sees it. */
export interface NamespaceDefinition {
  readonly schema: ObjectSchema
  readonly static: readonly string[]
  readonly secrets: readonly string[]
  readonly dependencies: readonly string[]
  readonly options: Readonly<Record<string, Template>>
  readonly invariants: readonly Invariant<unknown>[]
  readonly maxBytes: number
}

/** What a namespace's users read. */
export type NamespaceValue<N> = N extends Namespace<infer Value, never> ? Value : never

const KNOWN: ReadonlySet<string> = new Set([
  'schema',
  'static',
  'secrets',
  'dependencies',
  'options',
  'invariants',
  'maxBytes',
])
const MAX_BYTES_DEFAULT = 65_536
const MAX_BYTES_MAX = 524_288

/**
 * Defines a namespace: its name, its schema and what is special about its fields. Pure.
 *
 * @example
 * const checkout = defineNamespace('checkout', { schema: z.object({ timeoutMs: z.number().default(500) }) })
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function defineNamespace<
  const Schema extends ObjectSchema,
  const SecretKey extends KeyOf<Schema> = never,
  const OptionKey extends KeyOf<Schema> = never,
>(
  name: string,
  options: NamespaceOptions<Schema, SecretKey, OptionKey>,
): Namespace<ValueOf<Schema, SecretKey>, InputOf<Schema, OptionKey>> {
  checkNamespaceName(name)
  checkGivenKeys('defineNamespace', options, KNOWN)
  checkSchema(`namespace ${show(name)}`, options.schema)
  const { maxBytes = MAX_BYTES_DEFAULT } = options
  if (!Number.isInteger(maxBytes) || maxBytes < 1 || maxBytes > MAX_BYTES_MAX) {
    throw new InvalidArgumentError(
      'maxBytes',
      `Expected \`maxBytes\` to be an integer from 1 to ${MAX_BYTES_MAX}, got ${show(maxBytes)}.`,
    )
  }
  const definition: NamespaceDefinition = Object.freeze({
    schema: options.schema,
    static: keysIn('static', options.static),
    secrets: keysIn('secrets', options.secrets),
    dependencies: keysIn('dependencies', options.dependencies),
    options: templatesIn(options.options),
    invariants: invariantsIn(options.invariants),
    maxBytes,
  })
  checkKinds(definition)
  return Object.freeze({
    name,
    definition,
    patch: (value: unknown): Edit => ({ kind: 'patch', namespace: name, value: objectIn('patch', value) }),
    replace: (value: unknown): Edit => ({ kind: 'replace', namespace: name, value: objectIn('replace', value) }),
    remove: (): Edit => ({ kind: 'remove', namespace: name }),
    override: (value: unknown): Override => ({ namespace: name, value: objectIn('override', value) }),
  })
}

function keysIn(argument: string, keys: unknown): readonly string[] {
  if (keys === undefined) return []
  if (Array.isArray(keys) && keys.every(key => typeof key === 'string')) return Object.freeze([...keys])
  throw new InvalidArgumentError(argument, `Expected \`${argument}\` to be a list of field names, got ${show(keys)}.`)
}

function templatesIn(templates: unknown = {}): Readonly<Record<string, Template>> {
  const isGood =
    typeof templates === 'object' &&
    templates !== null &&
    Object.values(templates as Readonly<Record<string, Partial<Template> | null>>).every(
      template => typeof template?.offer === 'function',
    )
  if (isGood) return Object.freeze({ ...templates })
  throw new InvalidArgumentError(
    'options',
    `Expected \`options\` to be templates of \`defineTemplate\` by field, got ${show(templates)}.`,
  )
}

function invariantsIn(invariants: unknown = []): readonly Invariant<unknown>[] {
  if (Array.isArray(invariants) && invariants.every(invariant => typeof invariant === 'function')) {
    return Object.freeze([...(invariants as readonly Invariant<unknown>[])])
  }
  throw new InvalidArgumentError(
    'invariants',
    `Expected \`invariants\` to be a list of functions, got ${show(invariants)}.`,
  )
}

// A template's options are not encrypted, and neither they nor a secret name a service.
function checkKinds({ secrets, dependencies, options }: NamespaceDefinition): void {
  const fields = [...secrets, ...dependencies, ...Object.keys(options)]
  const twice = fields.find((field, index) => fields.indexOf(field) !== index)
  if (twice === undefined) return
  throw new InvalidArgumentError(
    'namespace',
    `Expected each field to stand once in \`secrets\`, \`dependencies\` and \`options\` together, got ${show(twice)} twice.`,
  )
}

function objectIn(argument: string, value: unknown): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject
  throw new InvalidArgumentError(argument, `Expected what ${argument} is given to be an object, got ${show(value)}.`)
}
