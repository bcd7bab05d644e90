import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Claim, WaitTask } from './wait-graph.ts'
import { WaitGraph } from './wait-graph.ts'

const alone = (key: string): Claim => ({ key, isShared: false })
const shared = (key: string): Claim => ({ key, isShared: true })

function holding(graph: WaitGraph, claim: Claim, outer?: WaitTask): WaitTask {
  const task = graph.wait(claim, outer)
  graph.granted(task)
  return task
}

describe('WaitGraph', () => {
  it('sees two who wait for each other', () => {
    const graph = new WaitGraph()
    const [a, b] = [holding(graph, alone('a')), holding(graph, alone('b'))]
    const first = graph.wait(alone('b'), a)
    expect(graph.cycleOf(first)).toBeUndefined()
    expect(graph.cycleOf(graph.wait(alone('a'), b))).toEqual(['b', 'a'])
  })

  it('names the locks of a longer cycle in the order of the waits', () => {
    const graph = new WaitGraph()
    const [a, b, c] = [holding(graph, alone('a')), holding(graph, alone('b')), holding(graph, alone('c'))]
    graph.wait(alone('b'), a)
    graph.wait(alone('c'), b)
    expect(graph.cycleOf(graph.wait(alone('a'), c))).toEqual(['c', 'a', 'b'])
  })

  it('sees one who waits for what he holds himself, also far outside', () => {
    const graph = new WaitGraph()
    const inner = holding(graph, alone('b'), holding(graph, alone('a')))
    expect(graph.cycleOf(graph.wait(alone('a'), inner))).toEqual(['a'])
  })

  it('sees none in a chain, among those who ended, and between readers', () => {
    const graph = new WaitGraph()
    const [a, b] = [holding(graph, alone('a')), holding(graph, alone('b'))]
    const first = graph.wait(alone('b'), a)
    graph.end(first)
    expect(graph.cycleOf(graph.wait(alone('a'), b))).toBeUndefined()
    const reader = holding(graph, shared('r'))
    expect(graph.cycleOf(graph.wait(shared('r'), reader))).toBeUndefined()
    expect(graph.cycleOf(graph.wait(alone('r'), reader))).toEqual(['r'])
  })

  it('takes branches inside of one holder for parts of his wait', () => {
    const graph = new WaitGraph()
    const root = holding(graph, alone('root'))
    const [left, right] = [holding(graph, alone('a'), root), holding(graph, alone('b'), root)]
    graph.wait(alone('b'), left)
    expect(graph.cycleOf(graph.wait(alone('a'), right))).toEqual(['b', 'a'])
  })

  it('puts what was started by one who is done into what was around him', () => {
    const graph = new WaitGraph()
    const root = holding(graph, alone('root'))
    const done = holding(graph, alone('a'), root)
    graph.end(done)
    const late = holding(graph, alone('b'), done)
    expect(late.outer).toBe(root)
    expect(graph.cycleOf(graph.wait(alone('root'), late))).toEqual(['root'])
    graph.end(root)
    expect(graph.wait(alone('c'), done).outer).toBeUndefined()
  })

  it('looks at nobody for one who waits inside of nothing, and goes no deeper for waits that are deep', () => {
    const graph = new WaitGraph()
    for (let count = 0; count < 5_000; count += 1) holding(graph, shared('r'))
    for (let count = 0; count < 5_000; count += 1)
      expect(graph.cycleOf(graph.wait(alone('r'), undefined))).toBeUndefined()
    let inner = holding(graph, alone('root'))
    for (let depth = 0; depth < 20_000; depth += 1) inner = holding(graph, alone(`deep ${depth}`), inner)
    expect(graph.cycleOf(graph.wait(alone('root'), inner))).toEqual(['root'])
    expect(inner.isIn(graph.wait(alone('other'), undefined))).toBe(false)
  })

  it('says the same as a plain search for a way from each to itself, and names true cycles', () => {
    const steps = fc.array(
      fc.record({
        key: fc.constantFrom('a', 'b', 'c', 'd'),
        isShared: fc.boolean(),
        outer: fc.nat(7),
        waits: fc.boolean(),
      }),
      { minLength: 1, maxLength: 8 },
    )
    let cycles = 0
    fc.assert(
      fc.property(steps, all => {
        const graph = new WaitGraph()
        const tasks: { readonly task: WaitTask; readonly waits: boolean }[] = []
        for (const { key, isShared, outer, waits } of all) {
          // Only who holds has others inside of him.
          const around = tasks.filter(one => !one.waits)[outer]?.task
          const task = graph.wait({ key, isShared }, around)
          if (!waits) graph.granted(task)
          tasks.push({ task, waits })
        }
        for (const { task, waits } of tasks) {
          if (!waits) continue
          const names = graph.cycleOf(task)
          expect(names !== undefined).toBe(comesBack(tasks, task))
          if (names === undefined) continue
          cycles += 1
          expect(names.every((name, index) => isWaitedFor(tasks, name, names[(index + 1) % names.length] ?? ''))).toBe(
            true,
          )
        }
      }),
      { numRuns: 2_000, seed: 5 },
    )
    expect(cycles).toBeGreaterThan(100)
  })
})

type Tasks = readonly { readonly task: WaitTask; readonly waits: boolean }[]

/** Whom a task cannot go on before: who holds what it waits for, and whoever waits inside of it. */
function blockersOf(tasks: Tasks, { task, waits }: Tasks[number]): Tasks {
  if (!waits) return tasks.filter(other => other.waits && other.task.isIn(task))
  return tasks.filter(
    other =>
      !other.waits && other.task.claim.key === task.claim.key && !(other.task.claim.isShared && task.claim.isShared),
  )
}

function comesBack(tasks: Tasks, from: WaitTask): boolean {
  const reached = new Set<WaitTask>()
  const queue = tasks.filter(({ task }) => task === from)
  for (const one of queue) {
    for (const next of blockersOf(tasks, one)) {
      if (next.task === from) return true
      if (reached.has(next.task)) continue
      reached.add(next.task)
      queue.push(next)
    }
  }
  return false
}

function isWaitedFor(tasks: Tasks, held: string, wanted: string): boolean {
  return tasks.some(
    holder =>
      !holder.waits &&
      holder.task.claim.key === held &&
      tasks.some(one => one.waits && one.task.claim.key === wanted && one.task.isIn(holder.task)),
  )
}
