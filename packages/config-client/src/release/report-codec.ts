import type { ConfigIssue } from '../errors.ts'
import type { ConfigSource, InstanceReport, Refusal, RefusalStage } from '../client/report.ts'
import type { Json, JsonObject } from './json.ts'
import { isJsonArray, isJsonObject } from './json.ts'
import { canonicalJson } from './canonical-json.ts'
import type { ReleaseName } from './release.ts'

// A report is small whatever its issues are: every instance writes one, and whoever looks at the fleet reads all of them.
const ISSUES_MAX = 20
const TEXT_LENGTH_MAX = 300

const SOURCES: readonly ConfigSource[] = ['store', 'last-known-good', 'defaults']
const STAGES: readonly RefusalStage[] = ['verify', 'parse', 'invariant', 'prepare', 'commit']

/** The report as a record. Of a long refusal the first 20 issues are kept, and the first 300 characters of each message. */
export function encodeReport(report: InstanceReport): Uint8Array {
  const { id, slot, labels, applied, source, refusal, pendingRestart, schemas } = report
  const json = {
    id,
    slot,
    labels,
    source,
    pendingRestart,
    schemas,
    ...(applied !== undefined && { applied: { ...applied } }),
    ...(refusal !== undefined && { refusal: refusalJson(refusal) }),
  }
  return new TextEncoder().encode(canonicalJson(json))
}

function refusalJson({ release, stage, participant, issues }: Refusal): JsonObject {
  return {
    release: { ...release },
    stage,
    ...(participant !== undefined && { participant }),
    issues: issues.slice(0, ISSUES_MAX).map(({ namespace, path, message }) => ({
      namespace,
      path,
      message: cut(message),
    })),
  }
}

function cut(text: string): string {
  const short = text.length > TEXT_LENGTH_MAX ? `${text.slice(0, TEXT_LENGTH_MAX)}…` : text
  return short.replaceAll(/\p{Surrogate}/gu, '\ufffd')
}

/**
 * The report in a record; undefined when it is none. Tolerant, for it is only shown and counted: what is missing or of another type
 * counts as not told.
 */
export function decodeReport(bytes: Uint8Array): InstanceReport | undefined {
  const json = parsed(bytes)
  if (!isJsonObject(json) || typeof json['id'] !== 'string') return undefined
  const { id, slot, source, pendingRestart } = json
  return {
    id,
    slot: typeof slot === 'string' ? slot : id,
    labels: texts(json['labels']),
    applied: nameFrom(json['applied']),
    source: SOURCES.find(known => known === source) ?? 'store',
    refusal: refusalFrom(json['refusal']),
    pendingRestart: listOf(pendingRestart).filter(field => typeof field === 'string'),
    schemas: texts(json['schemas']),
  }
}

function parsed(bytes: Uint8Array): Json | undefined {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Json
  } catch {
    return undefined
  }
}

function refusalFrom(json: Json | undefined): Refusal | undefined {
  if (!isJsonObject(json)) return undefined
  const { participant, stage } = json
  const release = nameFrom(json['release'])
  if (release === undefined) return undefined
  return {
    release,
    stage: STAGES.find(known => known === stage) ?? 'verify',
    participant: typeof participant === 'string' ? participant : undefined,
    issues: listOf(json['issues']).flatMap(issueFrom),
  }
}

function issueFrom(json: Json): ConfigIssue[] {
  if (!isJsonObject(json)) return []
  const { namespace, message } = json
  if (typeof namespace !== 'string' || typeof message !== 'string') return []
  return [{ namespace, path: listOf(json['path']).map(String), message }]
}

function nameFrom(json: Json | undefined): ReleaseName | undefined {
  if (!isJsonObject(json)) return undefined
  const { number, hash } = json
  return typeof number === 'number' && typeof hash === 'string' ? { number, hash } : undefined
}

function texts(json: Json | undefined): Readonly<Record<string, string>> {
  if (!isJsonObject(json)) return {}
  return Object.fromEntries(
    Object.entries(json).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}

function listOf(json: Json | undefined): readonly Json[] {
  return isJsonArray(json) ? json : []
}
