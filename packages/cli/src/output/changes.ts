import type { Json, ReleaseChange } from '@holdfast/config-client'
import type { Paint } from './output.ts'

const MARKS = { added: '+', removed: '-', changed: '~' } as const
const COLOURS = { added: 'green', removed: 'red', changed: 'yellow' } as const
const LENGTH_MAX = 120

/** Differences, one a line: `~ checkout.timeoutMs  500 → 800`. */
export function showChanges(changes: readonly ReleaseChange[], paint: Paint): string {
  if (changes.length === 0) return 'Nothing differs.'
  const names = changes.map(({ namespace, path }) => [namespace, ...path].join('.'))
  const width = Math.max(...names.map(name => name.length))
  return changes
    .map((change, index) => {
      const name = (names[index] ?? '').padEnd(width)
      return `${paint[COLOURS[change.kind]](`${MARKS[change.kind]} ${name}`)}  ${valuesOf(change)}`
    })
    .join('\n')
}

function valuesOf({ kind, before, after }: ReleaseChange): string {
  switch (kind) {
    case 'added':
      return shortened(after)
    case 'removed':
      return shortened(before)
    case 'changed':
      return `${shortened(before)} → ${shortened(after)}`
  }
}

function shortened(value: Json | undefined): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > LENGTH_MAX ? `${text.slice(0, LENGTH_MAX)}…` : text
}
