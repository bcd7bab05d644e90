import { show } from '@holdfast/core'
import type { ConfigIssue } from '../errors.ts'
import type { Edit } from '../namespace/edit.ts'
import type { Namespace } from '../namespace/namespace.ts'
import type { Template, TemplateLayer } from '../namespace/template.ts'
import { optionKey } from '../namespace/template.ts'
import type { JsonObject } from '../release/json.ts'
import { isJsonObject } from '../release/json.ts'
import type { PinnedOption, ReleaseContent, ReleaseName } from '../release/release.ts'

/** What a layer below offers: its head. Undefined when nothing was ever published there. */
export type ReadLayer = (
  layer: TemplateLayer,
) => Promise<{ readonly release: ReleaseName; readonly content: ReleaseContent } | undefined>

/** From what the options of a content are to be pinned. */
export interface PinRequest {
  readonly namespaces: Readonly<Record<string, JsonObject>>
  readonly before: ReleaseContent | undefined
  /** What is said now, and so pinned anew. */
  readonly edits: readonly Edit[]
  readonly known: ReadonlyMap<string, Namespace>
  readonly readLayer: ReadLayer
}

/** The options that a content pins, and what is wrong with those that it names. */
export interface Pins {
  readonly options: Readonly<Record<string, PinnedOption>>
  readonly issues: readonly ConfigIssue[]
}

interface Choice {
  readonly namespace: string
  readonly field: string
  readonly template: Template
  readonly option: string
  /** Whether this publish says it, so that it is looked up anew; else what was pinned stays. */
  readonly isSaidNow: boolean
}

/**
 * Pins the options that the namespaces choose. An option that the edits name is pinned as its layer has it now; one that was chosen
 * before stays as it was pinned, also when the layer does not offer it any more.
 */
export async function pinOptions(request: PinRequest): Promise<Pins> {
  const { before, known, namespaces } = request
  const choices = choicesOf(request)
  // Whose fields are options is not known of a namespace that is unknown here: what it chose has to stay.
  const isAllKnown = Object.keys(namespaces).every(name => known.has(name))
  const options: Record<string, PinnedOption> = isAllKnown ? {} : { ...before?.options }
  const issues: ConfigIssue[] = []
  const layers = new Map<TemplateLayer, Awaited<ReturnType<ReadLayer>>>()
  for (const choice of choices) {
    const { template, option, isSaidNow } = choice
    const key = optionKey(template, option)
    const pinned = before?.options[key]
    if (pinned !== undefined && !isSaidNow) {
      options[key] ??= pinned
      continue
    }
    if (!layers.has(template.layer)) layers.set(template.layer, await request.readLayer(template.layer))
    const layer = layers.get(template.layer)
    const offered = layer?.content.namespaces[template.name]
    const value = offered !== undefined && Object.hasOwn(offered, option) ? offered[option] : undefined
    if (layer !== undefined && isJsonObject(value)) options[key] = { release: nameOf(layer.release), value }
    else if (pinned !== undefined) options[key] ??= pinned
    else issues.push(unknownOption(choice, offered))
  }
  return { options, issues }
}

function choicesOf({ namespaces, edits, known }: PinRequest): readonly Choice[] {
  const choices: Choice[] = []
  for (const [namespace, { definition }] of known) {
    for (const [field, template] of Object.entries(definition.options)) {
      const option = namespaces[namespace]?.[field]
      // What is no id at all is refused when the namespace is resolved.
      if (typeof option !== 'string') continue
      const isSaidNow = edits.some(
        edit => edit.kind !== 'remove' && edit.namespace === namespace && edit.value[field] !== undefined,
      )
      choices.push({ namespace, field, template, option, isSaidNow })
    }
  }
  return choices
}

function unknownOption({ namespace, field, template, option }: Choice, offered: JsonObject | undefined): ConfigIssue {
  const ids = Object.keys(offered ?? {}).map(show)
  const offer = ids.length === 0 ? 'it offers none' : `it offers ${ids.join(', ')}`
  const message = `there is no option ${show(option)} of ${template.layer}/${template.name}; ${offer}`
  return { namespace, path: [field], message }
}

function nameOf({ number, hash }: ReleaseName): ReleaseName {
  return { number, hash }
}
