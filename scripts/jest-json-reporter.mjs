// Writes jest's totals and the names of the failed tests as JSON for .ci/run, which enables it with FSQ_TEST_JSON (see jest.config.js).
import { writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import process from 'node:process'

export default class JsonReporter {
  constructor(_config, { outputFile }) {
    this.outputFile = outputFile
  }

  onRunComplete(_contexts, { testResults: files, ...totals }) {
    const failedTests = files.flatMap(({ testFilePath, testExecError, testResults }) => {
      const red = testResults.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName)
      if (testExecError) red.push(testExecError.message)
      return red.map((what) => `${relative(process.cwd(), testFilePath)}: ${what}`)
    })
    writeFileSync(this.outputFile, JSON.stringify({ ...totals, failedTests }))
  }
}
