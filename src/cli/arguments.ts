/**
 * Reads a command line as getopt(3) does: short options may be clustered, a value may be attached or follow, and the first
 * operand may end the options, so that later operands may begin with a dash.
 *
 * @module
 */
import { parseArgs } from 'node:util'

import { LARGEST_NUMBER, WHOLE_NUMBER } from '../name/limits.js'
import { guess } from '../nearest.js'

/** The command line is wrong or incomplete: the command prints its short usage and exits 100. */
export class UsageError extends Error {}

/** An option, by its long name. */
export interface Option {
  /** One character. */
  readonly short?: string
  /** What messages call its value. Default: the option takes none. */
  readonly value?: string
}

/** Options by their long names. */
export type OptionTable = Readonly<Record<string, Option>>

interface Given {
  readonly name: string
  /** As the user typed it, `-m` or `--mode`. */
  readonly typed: string
  readonly value: string | undefined
}

/** A command line that has been read. */
export class Arguments {
  readonly #given: readonly Given[]
  /** The arguments that are not options. */
  readonly operands: readonly string[]

  constructor(given: readonly Given[], operands: readonly string[]) {
    this.#given = given
    this.operands = operands
  }

  has(name: string): boolean {
    return this.#given.some((given) => given.name === name)
  }

  /** The last one of these options on the command line. */
  last(...names: readonly string[]): string | undefined {
    return this.#given.findLast(({ name }) => names.includes(name))?.name
  }

  /** The option as the user typed it, `-m` or `--mode`. */
  typed(name: string): string | undefined {
    return this.#find(name)?.typed
  }

  /** The value of the option. If the option is there more than once, the last one counts. */
  text(name: string): string | undefined {
    return this.#find(name)?.value
  }

  /** The values of the option, which may be there more than once. `undefined`: it is not there. */
  texts(name: string): readonly string[] | undefined {
    const given = this.#given.filter((option) => option.name === name)
    return given.length === 0 ? undefined : given.flatMap(({ value }) => value ?? [])
  }

  /** The value of the option, a whole number. */
  number(name: string, least: number, most = LARGEST_NUMBER): number | undefined {
    const given = this.#find(name)
    if (given?.value === undefined) return undefined
    const number = WHOLE_NUMBER.test(given.value.replace(/^-/, '')) ? Number(given.value) : Number.NaN
    if (number >= least && number <= most) return number
    return this.refuse(
      name,
      most < LARGEST_NUMBER
        ? `a whole number from ${least} to ${most}`
        : `a whole number${least < 0 ? '' : ` of ${least} or more`}`,
    )
  }

  /** The value of the option, mode bits in octal, as the settings take them. */
  mode(name: string): string | undefined {
    const given = this.#find(name)
    if (given?.value === undefined || /^[0-7]{1,5}$/.test(given.value)) return given?.value
    return this.refuse(name, 'mode bits in octal, as 0640')
  }

  /** The value of the option, the name or the id of a user or a group. */
  account(name: string): string | undefined {
    const given = this.#find(name)
    if (given?.value === undefined || /^(?![-+])./.test(given.value)) return given?.value
    return this.refuse(name, 'a name or an id')
  }

  /** @throws {@link UsageError}, always: the option cannot have its value. */
  refuse(name: string, expected: string): never {
    const { typed, value } = this.#find(name) ?? {}
    throw new UsageError(`${typed ?? name} is '${value ?? ''}', expected ${expected}`)
  }

  #find(name: string): Given | undefined {
    return this.#given.findLast((given) => given.name === name)
  }
}

/**
 * Reads a command line.
 *
 * @param mixed - Options may stand between and after the operands, up to a `--`.
 * @throws {@link UsageError} for an unknown option, a missing value, and a value of an option that takes none.
 */
export function readArguments(args: readonly string[], table: OptionTable, mixed = false): Arguments {
  const options = Object.fromEntries(
    Object.entries(table).map(([name, { short, value }]) => [
      name,
      { type: value === undefined ? ('boolean' as const) : ('string' as const), ...(short && { short }) },
    ]),
  )
  // Not strict, as a value may begin with a dash: `-t -5`.
  const { tokens } = parseArgs({
    args: [...args],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const given: Given[] = []
  const operands: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') {
      if (!mixed) return new Arguments(given, args.slice(token.index))
      operands.push(token.value)
      continue
    }
    if (token.kind === 'option-terminator') {
      return new Arguments(given, [...operands, ...args.slice(token.index + 1)])
    }
    const { name, rawName: typed, value } = token
    const option = Object.hasOwn(table, name) ? table[name] : undefined
    if (option === undefined) {
      const meant = typed.startsWith('--') ? guess(name, Object.keys(table), '--') : ''
      const hint = mixed ? "; what begins with a dash and is no option goes after '--'" : ''
      throw new UsageError(`there is no option ${typed}${meant}${hint}`)
    }
    if (option.value === undefined && value !== undefined) throw new UsageError(`${typed} takes no value`)
    if (option.value !== undefined && value === undefined) {
      throw new UsageError(`${typed} needs a value: ${option.value}`)
    }
    given.push({ name, typed, value })
  }
  return new Arguments(given, operands)
}
