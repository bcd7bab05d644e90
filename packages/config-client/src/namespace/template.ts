import { InvalidArgumentError, checkGivenKeys, show } from '@holdfast/core'
import { checkSchema } from './check-schema.ts'
import type { Edit } from './edit.ts'
import { checkNamespaceName } from './naming.ts'
import type { ObjectSchema } from './namespace.ts'
import type { JsonObject } from '../release/json.ts'

/** The layers below the application, the lowest first. Their values are options that an application chooses. */
export type TemplateLayer = 'infrastructure' | 'platform'

export const TEMPLATE_LAYERS: readonly TemplateLayer[] = Object.freeze(['infrastructure', 'platform'] as const)

/** Something that a layer below offers in several options, such as sizes of a database. Made by `defineTemplate`. */
export interface Template {
  readonly layer: TemplateLayer
  readonly name: string
  /** What each option must be. */
  readonly schema: ObjectSchema
  /** Offers options, by id. Published by whoever runs the layer, in the scope `@<layer>`. */
  offer(options: Readonly<Record<string, JsonObject>>): Edit
  /** Withdraws an option: who chose it keeps what was pinned in his release. */
  withdraw(option: string): Edit
}

/**
 * Defines a template of the infrastructure or the platform. Pure.
 *
 * @example
 * const postgres = defineTemplate('platform', 'postgres', { schema: z.object({ host: z.string(), poolMax: z.number() }) })
 * const checkout = defineNamespace('checkout', { schema: z.object({ db: postgres.schema }), options: { db: postgres } })
 *
 * @throws {InvalidArgumentError} `HF_INVALID_ARGUMENT`
 */
export function defineTemplate<const Schema extends ObjectSchema>(
  layer: TemplateLayer,
  name: string,
  options: { readonly schema: Schema },
): Template & { readonly schema: Schema } {
  if (!TEMPLATE_LAYERS.includes(layer)) {
    throw new InvalidArgumentError(
      'layer',
      `Expected the layer of a template to be 'infrastructure' or 'platform', got ${show(layer)}.`,
    )
  }
  checkNamespaceName(name)
  checkGivenKeys('defineTemplate', options, new Set(['schema']))
  checkSchema(`template ${show(name)}`, options.schema)
  return Object.freeze({
    layer,
    name,
    schema: options.schema,
    offer: (offered: Readonly<Record<string, JsonObject>>): Edit => ({
      kind: 'patch',
      namespace: name,
      value: offered,
    }),
    withdraw: (option: string): Edit => ({ kind: 'patch', namespace: name, value: { [option]: null } }),
  })
}

/** The application whose scope has the templates of a layer. */
export function appOfLayer(layer: TemplateLayer): string {
  return `@${layer}`
}

const OPTION_KEY = /^(?:infrastructure|platform)\/[a-z][a-z0-9-]*#[A-Za-z][A-Za-z0-9_-]*$/

/** How a release names an option that it pins: `platform/postgres#large`. */
export function optionKey({ layer, name }: Pick<Template, 'layer' | 'name'>, option: string): string {
  return `${layer}/${name}#${option}`
}

export function isOptionKey(name: string): boolean {
  return OPTION_KEY.test(name)
}
