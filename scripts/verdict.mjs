// What a test run means: vitest's own code, and beyond it, that something ran and nothing was left out.

/**
 * @typedef {object} Report the part of vitest's JSON report that is read here
 * @property {number} numPassedTests
 * @property {number} numFailedTests
 * @property {number} numPendingTests skipped
 * @property {number} numTodoTests
 * @property {{ name: string, status: string, assertionResults: { status: string }[] }[]} testResults
 */

/**
 * @param {{ code: number, report: Report | undefined, isNarrowed: boolean }} run `isNarrowed`: the user chose tests by name, the others count as skipped
 * @returns {{ code: number, passed: number, failed: number, complaints: string[] }}
 */
export function judge({ code, report, isNarrowed }) {
  if (report === undefined) return { code: code || 1, passed: 0, failed: 0, complaints: ['Vitest wrote no report.'] }
  const passed = report.numPassedTests
  const failed = report.numFailedTests + filesThatBrokeOutside(report)
  const skipped = report.numPendingTests + report.numTodoTests
  const complaints = []
  if (passed + failed === 0) complaints.push('No test ran.')
  if (skipped > 0 && !isNarrowed) complaints.push(`${skipped} tests were skipped, and none may be.`)
  if (code !== 0 && failed === 0) complaints.push('Vitest reports errors outside of any test.')
  if (code === 0 && failed > 0) complaints.push('Vitest ended well in spite of failures.')
  return { code: complaints.length > 0 ? code || 1 : code, passed, failed, complaints }
}

/**
 * Files that failed without a failed test, as by an error while they were loaded.
 * @param {Report} report
 */
function filesThatBrokeOutside({ testResults }) {
  return testResults.filter(
    file => file.status === 'failed' && !file.assertionResults.some(result => result.status === 'failed'),
  ).length
}
