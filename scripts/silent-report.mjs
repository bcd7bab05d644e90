// Vitest's JSON report in a file, without the line that names the file: `npm test` deletes it at once.
import { writeFileSync } from 'node:fs'
import { JsonReporter } from 'vitest/node'

/** A reporter that is named by its path must be the default export. */
export default class SilentReport extends JsonReporter {
  /**
   * @override
   * @param {string} report
   */
  async writeReport(report) {
    writeFileSync(process.env['HOLDFAST_TEST_REPORT'] ?? '', report)
  }
}
