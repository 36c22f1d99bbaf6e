// Its arguments are values that JSON cannot hold.
export const args = ([number]) => [BigInt(number), undefined]

export default function handler({ args: [number] }) {
  if (typeof number !== 'bigint') throw new Error('not parsed')
}
