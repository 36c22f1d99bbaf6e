import path from 'node:path'

/** The path of fault-build.cjs: Node runs on the fault-point build with `--require` and this. */
export const FAULT_BUILD = path.join(import.meta.dirname, 'fault-build.cjs')
