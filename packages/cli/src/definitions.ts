import type { Namespace, Template } from '@holdfast/config-client'
import { defineNamespace } from '@holdfast/config-client'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { CommandError, usageError } from './exit-codes.ts'

/** What is known of the configuration's shape. */
export interface Definitions {
  readonly namespaces: readonly Namespace<unknown, never>[]
  readonly templates: readonly Template[]
}

/**
 * What modules export: namespaces and templates, by whatever names.
 *
 * @throws {CommandError} `usage` for a module that cannot be loaded, or exports none
 */
export async function definitionsFrom(files: readonly string[]): Promise<Definitions> {
  const exported = (await Promise.all(files.map(exportsOf))).flat()
  return { namespaces: exported.filter(isNamespace), templates: exported.filter(isTemplate) }
}

/** A namespace of which nothing is known: it takes any object. */
export function anyNamespace(name: string): Namespace<Readonly<Record<string, unknown>>, never> {
  return defineNamespace(name, { schema: ANY_OBJECT })
}

const ANY_OBJECT = {
  '~standard': {
    version: 1 as const,
    vendor: 'holdfast-cli',
    validate: (value: unknown) =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? { value: value as Readonly<Record<string, unknown>> }
        : { issues: [{ message: 'expected an object' }] },
  },
}

async function exportsOf(file: string): Promise<readonly unknown[]> {
  const module: unknown = await import(pathToFileURL(resolve(file)).href).catch((cause: unknown) => {
    throw new CommandError('usage', `Cannot load ${file}: ${String((cause as Error | undefined)?.message ?? cause)}`, {
      cause,
    })
  })
  const values: readonly unknown[] = Object.values(module as object)
  if (values.some(value => isNamespace(value) || isTemplate(value))) return values
  throw usageError(`Expected ${file} to export what defineNamespace or defineTemplate made, and it exports none.`)
}

function isNamespace(value: unknown): value is Namespace<unknown, never> {
  const { name, definition } = Object(value) as { readonly name?: unknown; readonly definition?: unknown }
  return typeof name === 'string' && typeof definition === 'object' && definition !== null
}

function isTemplate(value: unknown): value is Template {
  const { layer, offer } = Object(value) as { readonly layer?: unknown; readonly offer?: unknown }
  return typeof layer === 'string' && typeof offer === 'function'
}
