import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * For esbuild: the modules of Node come from process.getBuiltinModule. To import one as an ES module is to read each of its
 * exports, and to read those of node:fs and node:util loads streams and much else: two milliseconds of a start.
 *
 * @param {string} folder - Of all the sources that import any.
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

  /** What the sources import of it by name: a name that this overlooks is an error of the build. */
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
