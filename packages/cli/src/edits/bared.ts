import type { ConfigIssue, Json, ReleaseContent } from '@holdfast/config-client'

/**
 * An issue for each field that is encrypted now and would be published in plain. Without its definition nothing else tells that a
 * field is a secret, and what was published once stays in the history.
 */
export function bared(now: ReleaseContent | undefined, next: ReleaseContent): readonly ConfigIssue[] {
  return Object.entries(now?.namespaces ?? {}).flatMap(([namespace, fields]) =>
    Object.entries(fields)
      .filter(([field, value]) => isEncrypted(value) && isPlain(next.namespaces[namespace]?.[field]))
      .map(([field]) => ({
        namespace,
        path: [field],
        message:
          'is encrypted, and would be in plain: name its namespace with --namespaces, and the keys in HOLDFAST_SECRET_KEYS',
      })),
  )
}

function isPlain(value: Json | undefined): boolean {
  return value !== undefined && !isEncrypted(value)
}

function isEncrypted(value: Json): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, '$secret')
}
