/** The arbitraries of the property tests. */
import fc from 'fast-check'

/** Texts of whole characters, with those that need care drawn often. */
export const text = (): fc.Arbitrary<string> =>
  fc.oneof(
    fc.string({ unit: 'binary', maxLength: 12 }),
    fc.string({
      unit: fc.constantFrom(
        '_',
        '%',
        '/',
        '.',
        '\0',
        '\n',
        ' ',
        '0',
        '5',
        '9',
        'a',
        'f',
        'A',
        'F',
        '~',
        'é',
        '中',
        '😀',
        '\ufeff',
      ),
      maxLength: 12,
    }),
  )

/** Texts that a charset can write. */
export const textIn = (charset: string): fc.Arbitrary<string> => {
  if (charset === 'utf8') return text()
  const highest = charset === 'ascii' ? 0x7f : 0xff
  return fc.string({ unit: fc.nat(highest).map((code) => String.fromCharCode(code)), maxLength: 12 })
}

const ascii = fc.oneof(
  fc.constantFrom('_', '%', '.', '/', '5', 'f', 'F', '0', 'a', 'A', '-', '^'),
  fc.nat(0x7f).map((code) => String.fromCharCode(code)),
)

/** All legal pairs of delimiter and encode character. */
export const pair = (): fc.Arbitrary<{ delimiter: string; encodeseq: string }> =>
  fc
    .record({ delimiter: ascii, encodeseq: ascii })
    .filter(({ delimiter, encodeseq }) => delimiter !== encodeseq)

/** Pairs that file names can be written with. */
export const filePair = (): fc.Arbitrary<{ delimiter: string; encodeseq: string }> =>
  pair().filter(({ delimiter, encodeseq }) => !/[/\0]/.test(delimiter + encodeseq))

export const charset = (): fc.Arbitrary<'utf8' | 'ascii' | 'latin-1'> =>
  fc.constantFrom('utf8', 'ascii', 'latin-1')
