import type { Measured } from './row.ts'
import type { Suite } from './suite.ts'
export function plotOf(_suite: Suite, _all: readonly Measured[]): string { return '' }
