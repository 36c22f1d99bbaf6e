// `npm run test:packaging`: packs the package, installs it as a user would, and runs it in all supported runtimes.
// Asks the registry for the package's dependencies and, the first time, for the tools that the package.json here
// names. Without them everything is skipped, which with `--required` (for a release) is a failure.
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import process from 'node:process'

import { hostTarget } from '../cross/targets.mjs'
import { faultsOf } from '../cross/check.mjs'
import { check, contains, ROOT, run, tally, tool, TOOLS } from './checks.mjs'

const bed = mkdtempSync(join(tmpdir(), 'fsq-packaging-'))
process.once('exit', () => rmSync(bed, { recursive: true, force: true }))
const QUIET = ['--no-audit', '--no-fund', '--ignore-scripts']

const host = hostTarget()
if (!host || faultsOf(host).length > 0) {
  console.error(`Build this machine's binary first: npm run prebuilds -- ${host?.name ?? ''}`)
  process.exit(1)
}
// --force: one of the tools is a Node for another architecture, which an emulator runs.
if (!tool('.package-lock.json')) {
  try {
    run('npm', ['install', '--no-save', '--force', ...QUIET], { cwd: import.meta.dirname })
  } catch (error) {
    console.log(`SKIPPED all: the tools cannot be installed\n${error.message}`)
    process.exit(process.argv.includes('--required') ? 1 : 0)
  }
}

const [packed] = JSON.parse(
  run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', bed], { cwd: ROOT }),
)
const tarball = join(bed, packed.filename)

// A user's environment: an empty folder, no compiler, no tools but node and npm.
const home = join(bed, 'user')
const bin = join(bed, 'bin')
mkdirSync(home)
mkdirSync(bin)
for (const name of ['node', 'npm', 'npx']) symlinkSync(join(dirname(process.execPath), name), join(bin, name))
// Of the system only `sh` and `env`, which npm needs to start.
for (const name of ['sh', 'env']) symlinkSync(`/usr/bin/${name}`, join(bin, name))
const user = { cwd: home, env: { HOME: process.env.HOME, PATH: bin, NO_COLOR: '1', NODE_NO_WARNINGS: '1' } }
const node = process.execPath

await check('the tarball has only what a user needs', () => {
  const paths = packed.files.map(({ path }) => path)
  const needed =
    /^(dist\/.+\.(js|js\.map|d\.ts)|dist\/command\/package\.json|native\/(?:[a-z]+\/)*[^/]+\.(cc|h|txt|cjs)|targets\/[^/]+|prebuilds\/.+|man\/.+|docs\/.+|completions\/.+|(?:binding|worker-process)\.cjs|CMakeLists\.txt|package\.json|(README|CHANGELOG|LICENSE)(\.md)?)$/
  const others = paths.filter((path) => !needed.test(path))
  if (others.length > 0) throw new Error(`not needed: ${others.join(', ')}`)
  if (statSync(tarball).size > 2_400_000) throw new Error(`${statSync(tarball).size} bytes`)
})

await check('it installs without a compiler and without scripts', () => {
  writeFileSync(join(home, 'package.json'), '{ "private": true }')
  run('npm', ['install', ...QUIET, tarball], user)
  const { scripts } = JSON.parse(readFileSync(join(home, 'node_modules/fsq/package.json'), 'utf8'))
  const scripted = ['preinstall', 'install', 'postinstall'].filter((name) => name in scripts)
  if (scripted.length > 0) throw new Error(`scripts: ${scripted.join(', ')}`)
  const compilers = ['cc', 'c++', 'gcc', 'g++', 'clang', 'make', 'cmake', 'python3']
  const found = compilers.filter(
    (name) => run('sh', ['-c', `command -v ${name} || echo none`], user).trim() !== 'none',
  )
  if (found.length > 0) throw new Error(`${found.join(', ')} is installed, so this check would prove nothing`)
})

await check('publint', () => void run(node, [join(TOOLS, 'publint/src/cli.js'), tarball, '--strict']))
await check('are the types wrong', () => {
  // require() of an ES module, which Node supports from 20.19, the version that we require.
  const profile = ['--profile', 'node16', '--ignore-rules', 'cjs-resolves-to-esm']
  run(node, [join(TOOLS, '@arethetypeswrong/cli/dist/index.js'), tarball, ...profile])
})

const item = (program, args, options) => {
  const root = mkdtempSync(join(bed, 'root-'))
  const fsq = (...rest) =>
    run(program, [...args, ...rest], { ...options, env: { ...options.env, FSQ_ROOT: root } })
  fsq('install', 'q')
  fsq('enqueue', '-e', 'q', 'an', 'argument')
  contains(fsq('scan', 'q', 'sh', '-c', 'echo "got: $*"', 'sh'), /^got: an argument$/m)
}
await check('the command by npx', () => item('npx', ['fsq'], user))
await check('a global installation, with manual pages', () => {
  const prefix = join(bed, 'global')
  run('npm', ['install', '--global', '--prefix', prefix, ...QUIET, tarball], user)
  item(join(prefix, 'bin/fsq'), [], user)
  for (const page of JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).man) {
    const installed = join(prefix, 'share/man', `man${page.at(-1)}`, basename(page))
    if (!existsSync(installed)) throw new Error(`${installed} is missing`)
  }
  if (spawnSync('man', ['--version']).error) return
  const env = { PATH: process.env.PATH, MANPATH: join(prefix, 'share/man'), MANPAGER: 'cat', LC_ALL: 'C' }
  contains(run('man', ['fsq'], { env }), /NAME\s+fsq/)
})

copyFileSync(join(ROOT, 'scripts/smoke.mjs'), join(home, 'smoke.mjs'))
for (const version of [20, 22, 24, 26]) {
  await check(`Node ${version}`, () => {
    const program = tool(`node${version}/bin/node`)
    if (!program) return 'no binary for this machine'
    contains(run(program, ['smoke.mjs'], user), /smoke ok/)
  })
}
await check('Bun', () => {
  const program = tool('@oven/bun-linux-x64/bin/bun')
  if (!program) return 'no binary for this machine'
  contains(run(program, ['smoke.mjs'], user), /smoke ok/)
})
const deno = tool('@deno/linux-x64-glibc/deno')
await check('Deno', () => {
  if (!deno) return 'no binary for this machine'
  contains(run(deno, ['run', '--allow-all', 'smoke.mjs'], user), /smoke ok/)
})
await check('Deno without --allow-ffi says what to allow', () => {
  if (!deno) return 'no binary for this machine'
  const output = run(deno, ['run', '--no-prompt', '--allow-read', '--allow-env', 'smoke.mjs'], {
    ...user,
    fails: true,
  })
  contains(output, /fsq has no addon that loads .* Deno .*\nLet Deno load .* --allow-ffi/)
})
await check('Node --permission without --allow-addons says what to allow', () => {
  const program = tool('node24/bin/node')
  if (!program) return 'no binary for this machine'
  const output = run(program, ['--permission', '--allow-fs-read=*', 'smoke.mjs'], { ...user, fails: true })
  contains(output, /fsq has no addon that loads .*\nLet Node load addons: --allow-addons/)
})
await check('Node for arm64, emulated', () => {
  const program = tool('node20-arm64/bin/node')
  const emulator = process.env.FSQ_QEMU_ARM64 // for example '/usr/bin/qemu-aarch64-static -L /usr/aarch64-linux-gnu'
  if (!program || !emulator) return 'FSQ_QEMU_ARM64 names no emulator'
  const [command, ...args] = emulator.split(' ')
  contains(run(command, [...args, program, 'smoke.mjs'], user), /smoke ok/)
})

writeFileSync(join(home, 'handler.mjs'), 'export default ({ args }) => console.log(`child got: ${args}`)\n')
writeFileSync(
  join(home, 'processes.mjs'),
  `import { Queue } from 'fsq'
const main = async (root) => {
  const queue = await Queue.install('q', { root })
  await queue.enqueue('data', ['an argument'])
  const handler = new URL('file://' + process.argv[3])
  const worker = await queue.work(handler, { processes: 1, timeout: 10_000 })
  await worker.idle()
  console.log('done:', worker.counters.done)
  await queue.close()
}
main(process.argv[2]).catch((error) => console.log(error.message))
`,
)
const inProcesses = (program, args, options) =>
  run(program, [...args, mkdtempSync(join(bed, 'root-')), join(home, 'handler.mjs')], options)
for (const [name, path, ...args] of [
  ['Node 20', 'node20/bin/node'],
  ['Node 26', 'node26/bin/node'],
  ['Bun', '@oven/bun-linux-x64/bin/bun'],
  ['Deno', '@deno/linux-x64-glibc/deno', 'run', '--allow-all'],
]) {
  await check(`child processes, ${name}`, () => {
    const program = tool(path)
    if (!program) return 'no binary for this machine'
    const output = inProcesses(program, [...args, 'processes.mjs'], user)
    contains(output, /child got: an argument/)
    contains(output, /done: 1/)
  })
}

writeFileSync(
  join(home, 'remote.mjs'),
  `import { createServer } from 'node:http'
import { Queue } from 'fsq'
import { push, receiver } from 'fsq/remote'
import { natsSink } from 'fsq/nats'
const main = async (root) => {
  const queue = await Queue.install('out', { root })
  const target = await Queue.install('in', { root })
  const server = createServer(receiver({ queues: ['in'], root }))
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  await queue.enqueue('data', ['an argument'])
  const forwarder = await push(queue, 'http://127.0.0.1:' + server.address().port, { queue: 'in' })
  await forwarder.idle()
  await forwarder.close()
  for await (const item of target.scan()) {
    console.log('pushed:', item.args[0], await item.text())
    await item.done()
  }
  await natsSink({ stream: 'S', subject: 's' }).open().catch((error) => console.log(error.code))
  process.exit()
}
main(process.argv[2]).catch((error) => console.log(error.stack))
`,
)
for (const [name, path, ...args] of [
  ['Node 20', 'node20/bin/node'],
  ['Node 26', 'node26/bin/node'],
  ['Bun', '@oven/bun-linux-x64/bin/bun'],
  ['Deno', '@deno/linux-x64-glibc/deno', 'run', '--allow-all'],
]) {
  await check(`fsq/remote, and fsq/nats without its peers, ${name}`, () => {
    const program = tool(path)
    if (!program) return 'no binary for this machine'
    const output = run(program, [...args, 'remote.mjs', mkdtempSync(join(bed, 'root-'))], user)
    contains(output, /pushed: an argument data/)
    contains(output, /ERR_FSQ_MISSING_PEER/)
  })
}

writeFileSync(
  join(home, 'typed.ts'),
  `import { Queue, type WorkItem } from 'fsq'
import { drain as drainTest, testQueue } from 'fsq/testing'
export const numbers = async (): Promise<number[]> => {
  const queue = await testQueue({ body: (value) => ({ number: Number(value) }) })
  await queue.enqueue({ json: { number: 1 } })
  // @ts-expect-error: a typed queue takes { json }
  await queue.enqueue('text')
  const { done } = await drainTest(queue, (item) => item.body.number)
  return done.map(({ body }) => body.number)
}
export async function drain(queue: Queue): Promise<string[]> {
  const texts: string[] = []
  for await (const item of queue.scan({ prefetch: 2 })) texts.push(await textOf(item))
  return texts
}
const textOf = async (item: WorkItem): Promise<string> => item.text()
// @ts-expect-error: there is no such option
export const wrong = new Queue('q', { nothing: 1 })
`,
)
mkdirSync(join(home, 'node_modules/@types'), { recursive: true })
symlinkSync(join(TOOLS, '@types/node'), join(home, 'node_modules/@types/node'))
for (const version of [5, 6, 7]) {
  for (const [module, resolution] of [
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ]) {
    await check(`TypeScript ${version}, ${resolution}`, () => {
      const options = ['--noEmit', '--strict', '--target', 'es2023', '--lib', 'es2023,esnext.disposable']
      const kind = ['--module', module, '--moduleResolution', resolution, '--types', 'node', '--ignoreConfig']
      const args = version === 5 ? kind.slice(0, -1) : kind
      run(node, [join(TOOLS, `typescript${version}/bin/tsc`), ...options, ...args, 'typed.ts'], user)
    })
  }
}

const esbuild = join(TOOLS, 'esbuild/bin/esbuild')
const bundle = (name, ...args) => {
  const folder = join(home, name)
  run(
    esbuild,
    ['smoke.mjs', '--bundle', '--platform=node', `--outdir=${folder}`, '--log-level=warning', ...args],
    user,
  )
  return folder
}
await check('a bundle with fsq outside', () => {
  const folder = bundle('external', '--format=esm', '--external:fsq', '--out-extension:.js=.mjs')
  contains(run(node, [join(folder, 'smoke.mjs')], user), /smoke ok/)
})
for (const format of ['esm', 'cjs']) {
  await check(`a bundle with fsq and one addon inside, ${format}, without node_modules`, () => {
    const banner =
      "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"
    const extension = format === 'esm' ? 'mjs' : 'cjs'
    writeFileSync(
      join(home, 'one.mjs'),
      `import { Queue } from 'fsq'
import { tryLock } from 'fsq/lock'
import { testQueue } from 'fsq/testing'
const main = async (root) => {
  await (await testQueue()).remove()
  const queue = await Queue.install('q', { root })
  await queue.enqueue('some data')
  const lock = await tryLock(root + '/a.lock')
  for await (const item of queue.scan()) {
    console.log('got:', await item.text(), lock.held)
    await item.done()
  }
  lock.unlock()
}
main(process.argv[2])
`,
    )
    const folder = join(bed, 'bundled', format)
    const kind = [`--format=${format}`, `--out-extension:.js=.${extension}`]
    const native = ['--loader:.node=copy', `--conditions=fsq-${host.name}`]
    const options = ['--bundle', '--platform=node', ...kind, ...native, `--outdir=${folder}`]
    run(esbuild, ['one.mjs', ...options, ...(format === 'esm' ? [`--banner:js=${banner}`] : [])], user)
    const root = mkdtempSync(join(bed, 'root-'))
    contains(
      run(node, [join(folder, `one.${extension}`), root], { ...user, cwd: folder }),
      /^got: some data true/,
    )
  })
}

for (const [format, banner] of [
  ['esm', "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"],
  ['cjs', ''],
]) {
  await check(
    `child processes from a bundle, ${format}: outside it works, inside an error says what to do`,
    () => {
      const extension = format === 'esm' ? 'mjs' : 'cjs'
      const build = (folder, ...options) => {
        const kind = [`--format=${format}`, `--out-extension:.js=.${extension}`, `--outdir=${folder}`]
        const name = 'processes.mjs'
        run(esbuild, [name, '--bundle', '--platform=node', ...kind, ...options], user)
        return inProcesses(node, [join(folder, `processes.${extension}`)], user)
      }
      contains(build(join(home, 'processes', format), '--external:fsq'), /done: 1/)
      const native = ['--loader:.node=copy', `--conditions=fsq-${host.name}`, `--banner:js=${banner}`]
      const inside = build(join(bed, 'processes', format), ...native)
      contains(inside, /worker-process\.js .* is not inside this bundle\. Leave fsq outside of the bundle/)
    },
  )
}

const packageManagers = {
  pnpm: ['pnpm/bin/pnpm.cjs', 'add', '--store-dir', join(bed, 'store'), tarball],
  'Yarn 1': ['yarn/bin/yarn.js', 'add', '--no-lockfile', '--cache-folder', join(bed, 'yarn'), tarball],
  "Yarn 4, Plug'n'Play": ['@yarnpkg/cli-dist/bin/yarn.js', 'add', `fsq@file:${tarball}`],
}
for (const [name, [program, ...args]] of Object.entries(packageManagers)) {
  await check(name, () => {
    const registry = run('npm', ['config', 'get', 'registry']).trim()
    const env = {
      ...process.env, // Yarn asks the registry itself, so it needs settings for certificates and a proxy
      ...user.env,
      npm_config_registry: registry,
      YARN_NPM_REGISTRY_SERVER: registry,
      YARN_UNSAFE_HTTP_WHITELIST: new URL(registry).hostname,
      YARN_ENABLE_TELEMETRY: '0',
      YARN_ENABLE_GLOBAL_CACHE: '0',
      YARN_IGNORE_PATH: '1',
    }
    const folder = join(bed, name)
    mkdirSync(folder)
    writeFileSync(join(folder, 'package.json'), '{ "private": true }')
    const path = join(TOOLS, program)
    run(node, [path, ...args], { cwd: folder, env })
    copyFileSync(join(home, 'smoke.mjs'), join(folder, 'smoke.mjs'))
    const isYarn4 = program.startsWith('@yarnpkg')
    contains(
      run(node, isYarn4 ? [path, 'node', 'smoke.mjs'] : ['smoke.mjs'], { cwd: folder, env }),
      /smoke ok/,
    )
  })
}

await check('without a binary the error names a command, and that command builds one', () => {
  rmSync(join(home, 'node_modules/fsq/prebuilds'), { recursive: true })
  const output = run(node, ['smoke.mjs'], { ...user, fails: true })
  const command = /Build it with this command \([^)]*\): (npx .*)/.exec(output)?.[1]
  if (!command) throw new Error(output)
  run('sh', ['-c', command], { cwd: home })
  contains(run(node, ['smoke.mjs'], user), /smoke ok/)
})

console.log(`${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`)
