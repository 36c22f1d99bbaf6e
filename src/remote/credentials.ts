/**
 * The users who may push: a file with a line for each, `USER:scrypt:COST:SALT:HASH`, salt and hash in base64url.
 *
 * scrypt is slow on purpose, and a sender gives its password with each request. So a password that was right once is remembered as a
 * keyed hash, and compared with that, in constant time.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import { createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'

import { FsqError, SettingError } from '../index.js'
import { Budget } from './budget.js'

const COST = 16_384
const MOST_COST = 1 << 20
const BLOCK = 8
const SALT_BYTES = 16
const HASH_BYTES = 32
/** How many guesses are computed at once: each takes 16 MiB. */
const AT_ONCE = 2

interface Hash {
  readonly cost: number
  readonly salt: Buffer
  readonly hash: Buffer
}

/**
 * Makes a line of the file of credentials. Keep the file readable for the receiver only.
 *
 * @throws `SettingError` if one of both is not a text; `FsqError` for a name that no user can have.
 */
export async function credentialLine(user: string, password: string): Promise<string> {
  if (typeof (user as unknown) !== 'string') throw new SettingError('user', user, 'a text')
  // An error must not show what was meant as a password.
  if (typeof (password as unknown) !== 'string') throw new SettingError('password', typeof password, 'a text')
  if (!isUser(user))
    throw new FsqError(
      'The name of a user is empty, begins with # or a blank, or has a colon or a control character',
    )
  const salt = randomBytes(SALT_BYTES)
  const hash = await hashOf(password, { cost: COST, salt })
  return `${user}:scrypt:${COST}:${salt.toString('base64url')}:${hash.toString('base64url')}`
}

export function isUser(user: string): boolean {
  // A line that begins with # is a comment, and blanks around a line are cut off.
  return /^[^#\s:\p{Cc}][^:\p{Cc}]*$/u.test(user)
}

/** Checks credentials of HTTP (RFC 7617). */
export class Credentials {
  readonly #users = new Map<string, Hash>()
  readonly #right = new Map<string, Buffer>()
  readonly #key = randomBytes(HASH_BYTES)
  readonly #turns = new Budget(AT_ONCE)
  /** For unknown users, who take as long as known ones. */
  readonly #nobody: Hash = { cost: COST, salt: randomBytes(SALT_BYTES), hash: randomBytes(HASH_BYTES) }

  /**
   * @param text - The contents of the file. Empty lines, and those that begin with `#`, are skipped.
   * @throws `FsqError` for a line that is none.
   */
  constructor(text: string) {
    for (const [index, line] of text.split('\n').entries()) {
      if (line.trim() === '' || line.startsWith('#')) continue
      const [user = '', kind, cost = '', salt = '', hash = '', ...more] = line.trim().split(':')
      const parsed = {
        cost: Number(cost),
        salt: Buffer.from(salt, 'base64url'),
        hash: Buffer.from(hash, 'base64url'),
      }
      const isWhole =
        kind === 'scrypt' && isUser(user) && isCost(parsed.cost) && parsed.hash.length === HASH_BYTES
      if (!isWhole || more.length > 0)
        throw new FsqError(`Line ${index + 1} of the credentials is not USER:scrypt:COST:SALT:HASH`, {
          advice: 'Make it by fsq jsonrpcd --add-user, or by credentialLine()',
        })
      this.#users.set(user, parsed)
    }
  }

  /** Whether the header of a request has the name and the password of a user. */
  async admits(authorization: string | undefined): Promise<boolean> {
    const [, base64 = ''] = /^Basic +([A-Za-z0-9+/=_-]+) *$/i.exec(authorization ?? '') ?? []
    if (base64 === '') return false
    const [, user = '', password = ''] =
      /^([^:]*):(.*)$/s.exec(Buffer.from(base64, 'base64').toString()) ?? []
    const seen = createHmac('sha256', this.#key).update(`${user}:${password}`).digest()
    const right = this.#right.get(user)
    if (right !== undefined && timingSafeEqual(right, seen)) return true
    const known = this.#users.get(user)
    const wanted = known ?? this.#nobody
    await this.#turns.take(1)
    try {
      const hash = await hashOf(password, wanted)
      const isRight = timingSafeEqual(hash, wanted.hash) && known !== undefined
      if (isRight) this.#right.set(user, seen)
      return isRight
    } finally {
      this.#turns.giveBack(1)
    }
  }
}

function isCost(cost: number): boolean {
  return Number.isInteger(cost) && cost >= 2 && cost <= MOST_COST && Number.isInteger(Math.log2(cost))
}

async function hashOf(password: string, { cost, salt }: Pick<Hash, 'cost' | 'salt'>): Promise<Buffer> {
  const options = { N: cost, r: BLOCK, p: 1, maxmem: 256 * cost * BLOCK }
  return new Promise((resolve, reject) => {
    scrypt(password, salt, HASH_BYTES, options, (error, hash) =>
      error === null ? resolve(hash) : reject(error),
    )
  })
}
