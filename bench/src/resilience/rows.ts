import { Rows } from '../rows.ts'
import { BOUNDS } from './bounds.ts'

export const rows: Rows = new Rows('resilience', BOUNDS)
