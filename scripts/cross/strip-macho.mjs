/**
 * Removes the local symbols from a 64-bit Mach-O library, as `strip -x` does on a Mac: zig's linker cannot do it, and
 * they are a third of the binary. A signed file is signed again.
 */
import { signatureOf, signatureSize } from './code-signature.mjs'
import { CODE_SIGNATURE, DYSYMTAB, loadCommands, SEGMENT, SYMTAB } from './macho.mjs'

const ENTRY = 16
const NO_SYMBOL = 0x80000000 // marks a local symbol in the table of indirect symbols
const PAGE = 0x4000n

/** Returns a copy without local symbols. `name`: the name in the signature. */
export function stripMachO(bytes, name) {
  const commands = loadCommands(bytes)
  const command = (wanted) => commands.find(([kind]) => kind === wanted)?.[1]
  const segment = (wanted) =>
    commands.find(
      ([kind, at]) => kind === SEGMENT && bytes.toString('latin1', at + 8, at + 24).startsWith(wanted),
    )[1]
  const [symtab, dysymtab, signature] = [SYMTAB, DYSYMTAB, CODE_SIGNATURE].map(command)
  const field = (at, offset) => bytes.readUInt32LE(at + offset)

  // The order that zig's linker uses: the symbols, local ones first; the indirect symbols, which are indices of
  // symbols; the strings; the signature, if there is one.
  const [symbols, count, strings, stringsSize] = [8, 12, 16, 20].map((offset) => field(symtab, offset))
  const [firstLocal, locals] = [8, 12].map((offset) => field(dysymtab, offset))
  const [indirect, indirectCount] = [56, 60].map((offset) => field(dysymtab, offset))
  const end = signature === undefined ? bytes.length : field(signature, 8)
  const isInOrder =
    firstLocal === 0 &&
    symbols + count * ENTRY <= indirect &&
    indirect + indirectCount * 4 <= strings &&
    strings + stringsSize <= end &&
    end - symbols - count * ENTRY - indirectCount * 4 - stringsSize < 32
  if (!isInOrder) throw new Error('The symbols of this Mach-O file are not where they are expected')

  const entries = []
  const names = [Buffer.from('\0')] // offset 0: no name
  let length = 1
  for (let index = locals; index < count; index++) {
    const entry = Buffer.from(bytes.subarray(symbols + index * ENTRY, symbols + (index + 1) * ENTRY))
    const text = strings + entry.readUInt32LE(0)
    const named = bytes.subarray(text, bytes.indexOf(0, text) + 1)
    entry.writeUInt32LE(length, 0)
    length += named.length
    entries.push(entry)
    names.push(named)
  }
  const numbers = Buffer.from(bytes.subarray(indirect, indirect + indirectCount * 4))
  for (let at = 0; at < numbers.length; at += 4) {
    const number = numbers.readUInt32LE(at)
    if (number < NO_SYMBOL) numbers.writeUInt32LE(number < locals ? NO_SYMBOL : number - locals, at)
  }
  names.push(Buffer.alloc(-(symbols + entries.length * ENTRY + numbers.length + length) & 15))

  const text = Buffer.concat(names)
  const file = Buffer.concat([bytes.subarray(0, symbols), ...entries, numbers, text])
  const set = (at, offset, value) => file.writeUInt32LE(value, at + offset)
  const newIndirect = symbols + entries.length * ENTRY
  set(symtab, 12, entries.length)
  set(symtab, 16, newIndirect + numbers.length)
  set(symtab, 20, text.length)
  set(dysymtab, 12, 0)
  for (const first of [16, 24]) set(dysymtab, first, field(dysymtab, first) - locals) // of exported, of undefined ones
  set(dysymtab, 56, newIndirect)
  const size = signature === undefined ? 0 : signatureSize(file.length, name)
  if (signature !== undefined) {
    set(signature, 8, file.length)
    set(signature, 12, size)
  }
  const linkedit = segment('__LINKEDIT')
  const linkeditSize = BigInt(file.length + size) - file.readBigUInt64LE(linkedit + 40)
  file.writeBigUInt64LE(((linkeditSize + PAGE - 1n) / PAGE) * PAGE, linkedit + 32)
  file.writeBigUInt64LE(linkeditSize, linkedit + 48)
  if (signature === undefined) return file
  return Buffer.concat([file, signatureOf(file, name, file.readBigUInt64LE(segment('__TEXT') + 48))])
}
