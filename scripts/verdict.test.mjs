import { expect, test } from 'vitest'
import { judge } from './verdict.mjs'

const clean = { numPassedTests: 3, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0, testResults: [] }

test('a run where all tests passed is good', () => {
  expect(judge({ code: 0, report: clean, isNarrowed: false })).toEqual({
    code: 0,
    passed: 3,
    failed: 0,
    complaints: [],
  })
})

test('a run without any test is bad', () => {
  const { code, complaints } = judge({ code: 0, report: { ...clean, numPassedTests: 0 }, isNarrowed: false })
  expect(code).toBe(1)
  expect(complaints).toEqual(['No test ran.'])
})

test('a run without a report is bad', () => {
  expect(judge({ code: 0, report: undefined, isNarrowed: false }).code).toBe(1)
})

test('a skipped test makes a run bad', () => {
  expect(judge({ code: 0, report: { ...clean, numPendingTests: 1 }, isNarrowed: false }).code).toBe(1)
  expect(judge({ code: 0, report: { ...clean, numTodoTests: 1 }, isNarrowed: false }).code).toBe(1)
})

test('tests left out because others were chosen by name are no complaint', () => {
  expect(judge({ code: 0, report: { ...clean, numPendingTests: 1 }, isNarrowed: true }).code).toBe(0)
})

test('a file that broke before its tests counts as a failure', () => {
  const testResults = [{ name: 'a.test.ts', status: 'failed', assertionResults: [] }]
  expect(judge({ code: 1, report: { ...clean, testResults }, isNarrowed: false }).failed).toBe(1)
})

test('the code of vitest is kept', () => {
  expect(judge({ code: 130, report: clean, isNarrowed: false }).code).toBe(130)
})
