// `npm run prebuild` is the same as `npm run prebuilds`. But npm also runs a script with this name before each
// `build`, and nothing that it passes on distinguishes the two, except the title of the npm process. When run as that
// hook, this does nothing.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import process from 'node:process'

if (isAskedFor()) await import('./prebuilds.mjs')

function isAskedFor() {
  let pid = process.ppid
  for (let generation = 0; generation < 3 && pid > 1; generation++) {
    const { parent, title } = describe(pid)
    if (title.startsWith('npm ')) return / prebuild( |$)/.test(title)
    pid = parent
  }
  return false
}

function describe(pid) {
  try {
    if (process.platform === 'linux') {
      const parent = Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
      return { parent, title: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim() }
    }
    const text = execFileSync('ps', ['-o', 'ppid=,args=', '-p', String(pid)], { encoding: 'utf8' }).trim()
    const [, parent, title] = /^(\d+)\s+(.*)/.exec(text) ?? []
    return { parent: Number(parent), title: title ?? '' }
  } catch {
    return { parent: 0, title: '' } // it has ended, or ps is not installed
  }
}
