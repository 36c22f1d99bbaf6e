import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * For esbuild: takes Node's modules from process.getBuiltinModule. Importing one as an ES module reads each of its
 * exports, and for node:fs and node:util that loads streams and much more: two milliseconds at start-up.
 *
 * @param {string} folder - The folder of all sources that import such modules.
 * @param {(file: string) => boolean} isSource
 * @returns {import('esbuild').Plugin}
 */
export function builtins(folder, isSource) {
  const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && isSource(file))
    .map((file) => readFileSync(join(folder, file), 'utf8'))
    .join('\n')
  return {
    name: 'builtins',
    setup(build) {
      build.onResolve({ filter: /^node:/ }, ({ path }) => ({
        path,
        namespace: 'builtin',
        sideEffects: false,
      }))
      build.onLoad({ filter: /./, namespace: 'builtin' }, ({ path }) => {
        const names = namesOf(path)
        const lines = [`const builtin = process.getBuiltinModule('${path}')`, 'export default builtin']
        if (names.length > 0) lines.push(`export const { ${names.join(', ')} } = builtin`)
        return { contents: lines.join('\n') }
      })
    },
  }

  /** The names that the sources import from this module. The build fails if this misses one. */
  function namesOf(module) {
    const lists = sources.matchAll(
      new RegExp(`^import (?!type )[^'\\n]*\\{([^}]*)\\} from '${module}'`, 'gm'),
    )
    const names = [...lists]
      .flatMap(([, list]) => list.split(','))
      .map((name) => name.trim().split(' as ')[0])
    return [...new Set(names)].filter((name) => name !== '' && !name.startsWith('type '))
  }
}
