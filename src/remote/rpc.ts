/**
 * The requests of the first implementation, as text: methods, parameters, codes and answers (fsq standard, section 12).
 *
 * @module
 */
import { Buffer } from 'node:buffer'

import { Code, Fault, REFUSED, faultOf, invalidParameters, refusal } from './faults.js'
import { type Json, hasMoreMarks, isObject, jsonText, parsedInPlace } from './json.js'
import type { Targets } from './targets.js'

/** The method that tells what this receiver can do beyond the first implementation. */
export const ABOUT = 'fsq.about'
const API_VERSION = '1.0'
const MOST_ID = 1000
/** The most marks (`[`, `{`, `,`, `:`) for each request of a batch. A usual one has eleven. */
const MOST_MARKS = 64

export interface RpcOptions {
  readonly targets: Targets
  /** What {@link ABOUT} answers. */
  readonly about: Json
  /** The most requests in one batch. */
  readonly batch: number
  readonly onError: (error: unknown) => void
}

interface Method {
  readonly parameters: readonly string[]
  /** How many of the parameters have to be there. */
  readonly needed: number
  readonly run: (targets: Targets, ...args: readonly unknown[]) => Promise<Json> | Json
}

const METHODS: Readonly<Record<string, Method>> = {
  api_version: { parameters: [], needed: 0, run: () => API_VERSION },
  enqueue: { parameters: ['fsq_id', 'trg_queue', 'data'], needed: 3, run: enqueue },
  is_down: {
    parameters: ['queue', 'host'],
    needed: 1,
    run: async (targets, queue, host) => targets.isDown(queue, host),
  },
  'system.listMethods': { parameters: [], needed: 0, run: () => [...Object.keys(METHODS), ABOUT].toSorted() },
  'system.methodHelp': { parameters: ['method'], needed: 1, run: () => '' },
  'system.methodSignature': { parameters: ['method'], needed: 1, run: () => 'signatures not supported' },
  trigger_pull: {
    parameters: ['queue', 'ignore_listener', 'trigger'],
    needed: 1,
    run: async (targets, queue, ignoreListener = false, trigger = targets.settings.trigger) => {
      await targets.pull(queue, trigger, Boolean(ignoreListener))
      return null
    },
  },
}

async function enqueue(targets: Targets, id: unknown, queue: unknown, data: unknown): Promise<Json> {
  const contents = typeof data === 'string' && data.isWellFormed() ? Buffer.from(data) : data
  if (typeof id !== 'string' || !id.isWellFormed() || !(contents instanceof Uint8Array))
    throw invalidParameters()
  if (id === '' || id === '.') throw refusal('this is not the name of an item')
  await targets.take(queue, id, contents)
  return id
}

/** Overwrites the body. @returns The answer to it; empty if the request wants none. Never rejects. */
export async function answerTo(body: Uint8Array, options: RpcOptions): Promise<string> {
  if (body.byteLength === 0)
    return failure(new Fault(Code.request, 'Request invalid -- no request data.'), null)
  if (hasMoreMarks(body, options.batch * MOST_MARKS))
    return failure(new Fault(Code.request, `${REFUSED}the request has too many values`), null)
  let request: unknown
  try {
    request = parsedInPlace(body)
  } catch {
    return failure(new Fault(Code.parse, 'Request invalid. (No JSON object could be decoded)'), null)
  }
  if (!Array.isArray(request)) return answerOne(request, options)
  if (request.length === 0)
    return failure(new Fault(Code.request, 'Request invalid -- no request data.'), null)
  if (request.length > options.batch)
    return failure(new Fault(Code.request, `${REFUSED}a batch has at most ${options.batch} requests`), null)
  const answers: string[] = []
  // In their order, as one may pull the trigger for another.
  for (const one of request) answers.push(await answerOne(one, options))
  const said = answers.filter((answer) => answer !== '')
  return said.length === 0 ? '' : `[${said.join(',')}]`
}

/** The answer to a request that has succeeded. */
export function success(result: Json, id: Json): string {
  return jsonText({ error: null, result, id })
}

/** The answer to a request that has failed. */
export function failure({ message, code }: Fault, id: Json): string {
  return jsonText({ error: { message, code }, result: null, id })
}

async function answerOne(request: unknown, options: RpcOptions): Promise<string> {
  let id: Json = null
  try {
    if (!isObject(request)) throw new Fault(Code.request, 'Request must be {}.')
    const given = own(request, 'id')
    const isVersion2 = Boolean(own(request, 'jsonrpc'))
    if (given === undefined && !isVersion2) throw new Fault(Code.request, 'Request invalid.')
    if (!isId(given)) throw new Fault(Code.request, 'Invalid request parameters or method.')
    id = given ?? null
    const result = await resultOf(request, options)
    return id === null ? '' : success(result, id)
  } catch (error) {
    options.onError(error)
    return failure(faultOf(error), id)
  }
}

async function resultOf(
  request: Readonly<Record<string, unknown>>,
  { targets, about }: RpcOptions,
): Promise<Json> {
  const name = own(request, 'method')
  const params = own(request, 'params') ?? []
  if (typeof name !== 'string' || name === '' || !(isObject(params) || Array.isArray(params)))
    throw new Fault(Code.request, 'Invalid request parameters or method.')
  if (name === ABOUT) return about
  const method = Object.hasOwn(METHODS, name) ? METHODS[name] : undefined
  if (method === undefined) throw new Fault(Code.method, 'Method not supported.')
  return method.run(targets, ...bound(method, params))
}

/** The arguments in the order of the parameters. */
function bound({ parameters, needed }: Method, params: object): readonly unknown[] {
  if (Array.isArray(params)) {
    if (params.length < needed || params.length > parameters.length) throw invalidParameters()
    return params as readonly unknown[]
  }
  if (Object.keys(params).some((name) => !parameters.includes(name))) throw invalidParameters()
  const args = parameters.map((name) => own(params as Readonly<Record<string, unknown>>, name))
  if (args.slice(0, needed).some((arg) => arg === undefined)) throw invalidParameters()
  return args
}

function own(object: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

/** An id is sent back, so it is short, and has no levels. */
function isId(id: unknown): id is string | number | boolean | null | undefined {
  if (typeof id === 'string') return id.length <= MOST_ID
  return typeof id !== 'object' || id === null
}

/** Whether an error, as a receiver has said it, will not pass. */
export function isRefusal(code: unknown, message: unknown): boolean {
  return code === Code.params || (typeof message === 'string' && message.startsWith(REFUSED))
}
