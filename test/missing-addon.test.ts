import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'

import { describe, expect, test } from '@jest/globals'

import { PERMISSION_FLAG, onLinux } from './support/needs.js'
import { run, useTestBed } from './support/queue.js'

const bed = useTestBed()
const PROJECT = path.resolve(import.meta.dirname, '..')

describe('the addon is missing', () => {
  /** The package as it is installed, but for the addon. */
  function installWithout(): string {
    const folder = bed.path('node_modules', 'fsq')
    fs.mkdirSync(folder, { recursive: true })
    for (const file of ['dist', 'binding.cjs', 'package.json', 'CMakeLists.txt']) {
      fs.cpSync(path.join(PROJECT, file), path.join(folder, file), { recursive: true })
    }
    fs.cpSync(
      fs.realpathSync(path.join(PROJECT, 'node_modules', 'node-gyp-build')),
      bed.path('node_modules', 'node-gyp-build'),
      { recursive: true },
    )
    return folder
  }

  const show =
    `({ name, code, message, advice, cause }) => ` +
    `console.log(JSON.stringify({ name, code, message, advice, cause: cause.code }))`

  test.each([
    ['import', `import('fsq').catch(${show})`],
    ['require', `try { require('fsq') } catch (error) { (${show})(error) }`],
  ])('%s says so, and how to build it', async (how, source) => {
    const folder = installWithout()
    fs.writeFileSync(bed.path('program.cjs'), source)
    const flags = [
      '--disable-warning=ExperimentalWarning',
      ...(how === 'require' ? ['--experimental-require-module'] : []),
    ]
    const ended = await run(process.execPath, [...flags, bed.path('program.cjs')])
    expect(ended.stderr).toBe('')
    const error = JSON.parse(ended.stdout) as Record<'name' | 'code' | 'message' | 'advice' | 'cause', string>
    expect(error).toMatchObject({
      name: 'AddonMissingError',
      code: 'ERR_FSQ_ADDON_MISSING',
      cause: 'ERR_FSQ_ADDON_MISSING',
    })
    const [what = '', next = ''] = error.message.split('\n')
    expect(error.advice).toBe(next)
    expect(what).toContain(`fsq has no addon that loads on ${process.platform} ${process.arch}`)
    expect(what).toContain(process.version)
    expect(next).toMatch(
      /^Build it with this command \(it needs a C\+\+20 compiler, make and cmake\): npx .*cmake-js/,
    )
    expect(next).toContain(`--directory "${folder}"`)
  })

  test('in a clone the command is the one of the clone', async () => {
    const folder = installWithout()
    fs.writeFileSync(path.join(folder, 'binding.gyp'), '{}')
    fs.writeFileSync(
      bed.path('program.mjs'),
      `await import('fsq').catch(({ message }) => console.log(message))`,
    )
    const { stdout } = await run(process.execPath, [bed.path('program.mjs')])
    expect(stdout).toMatch(/Build it with this command: npm run build:addon/)
  })

  test('an addon that does not load is named with the reason', async () => {
    const folder = installWithout()
    fs.mkdirSync(path.join(folder, 'build', 'Release'), { recursive: true })
    fs.writeFileSync(path.join(folder, 'build', 'Release', 'fsq.node'), 'no library')
    fs.writeFileSync(
      bed.path('program.mjs'),
      `await import('fsq').catch(({ code, message }) => console.log(code, message))`,
    )
    const { stdout } = await run(process.execPath, [bed.path('program.mjs')])
    expect(stdout).toMatch(
      /^ERR_FSQ_ADDON_MISSING fsq has no addon that loads on .*fsq\.node.*\nBuild it with/,
    )
  })
  test('in a bundle it says how to bundle', async () => {
    const folder = installWithout()
    for (const file of ['worker-process.cjs', 'targets']) {
      fs.cpSync(path.join(PROJECT, file), path.join(folder, file), { recursive: true })
    }
    fs.writeFileSync(bed.path('app.mjs'), `import { Queue } from 'fsq'\nnew Queue('q')\n`)
    const esbuild = path.join(PROJECT, 'node_modules/esbuild/bin/esbuild')
    for (const [format, file] of [
      ['esm', bed.path('out', 'app.mjs')],
      ['cjs', bed.path('out', 'app.cjs')],
    ] as const) {
      const options = ['--bundle', '--platform=node', `--format=${format}`, `--outfile=${file}`]
      expect((await run(esbuild, [bed.path('app.mjs'), ...options])).code).toBe(0)
      expect((await run(process.execPath, [file])).stderr).toMatch(
        /^AddonMissingError: fsq has no addon that loads on .*\n.*Leave fsq outside of the bundle.*\(docs\/bundling\.md\)$/m,
      )
    }
  })
  // Elsewhere the loader does not look for Alpine.
  onLinux('Node may not read what the loader reads: it says which file to allow', async () => {
    installWithout()
    fs.writeFileSync(
      bed.path('program.mjs'),
      `await import('fsq').catch(({ message }) => console.log(message))`,
    )
    const flags = ['--no-warnings', PERMISSION_FLAG, '--allow-addons', `--allow-fs-read=${bed.path('')}`]
    const { stdout } = await run(process.execPath, [...flags, bed.path('program.mjs')])
    expect(stdout).toMatch(
      /^fsq has no addon that loads on .*\nLet Node read this file, too: --allow-fs-read="\/etc/,
    )
  })
})
