// Writes jest's aggregated result as JSON for .ci/run, which enables it with FSQ_TEST_JSON (see jest.config.js).
import { writeFileSync } from 'node:fs'

export default class JsonReporter {
  constructor(_config, { outputFile }) {
    this.outputFile = outputFile
  }

  onRunComplete(_contexts, { testResults: _testResults, ...totals }) {
    writeFileSync(this.outputFile, JSON.stringify(totals))
  }
}
